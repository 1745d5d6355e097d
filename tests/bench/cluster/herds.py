#!/usr/bin/python3
"""What many at once cost: viewers that ask one cold edge for one stream; edges that ask for one stream; and a node that
comes back with many streams, while others ask the scheduler."""

import argparse
import collections
import os
import shutil
import tempfile
import time

import bench_cluster

import bench_load
import bench_media
import bench_proc
import fleet
import harness
import relay

N_BURST, N_CHILDREN, MAX_DEPTH = 12, 3, 3  # edges that ask in one moment; max_children; links to the origin at most
N_RETURNING, PAUSE_S = 5000, 0.2  # streams of the node that comes back, and how long it is away
N_EDGES, ASKED_PER_S = 20, 2000   # of the others: route queries a second
STALL_MS = 20.0                   # the longest that any of these may wait
WAIT_S = 30
# What viewers cost once they play is not the question; who has left is to be forgotten soon.
NODE_SETS = {"latency": "efficient", "publisher_grace_ms": "200", "pull_idle_ms": "200"}
# Nodes made by hand report once and are believed for the length of the run.
SCHEDULER_SETS = {"http.listen": "127.0.0.1:0", "store.type": "memory", "lease_ms": 600000, "heartbeat_ms": 60000}


# --- viewers ---

def asked(cluster):
    """How often the stream was pulled from the origin, and the scheduler asked for a way."""
    text = harness.http_request(cluster.scheduler.http, "/metrics")[2].decode()
    return (cluster.origins[0].metrics().total("headwater_sessions_total", protocol="relay", kind="play"),
            harness.Metrics(text).total("headwater_routes_total"))


def viewers_herd(n_viewers, tries):
    """Returns a result for each try, each with a stream of its own."""
    results = []
    with harness.Cluster(origins=1, edges=1, node_set=NODE_SETS) as cluster:
        origin, edge = cluster.origins[0], cluster.edges[0]
        for i in range(tries):
            harness.wait_until(lambda: not edge.streams(), WAIT_S, "nobody is left of the try before")
            stream, before = f"live/herd{i}", asked(cluster)
            load = ["--publish", origin.url(stream), "--flv", bench_media.clip("20k"), "--warmup", 1, "--seconds", 1]
            for scheme in ("rtmp", "http"):
                load += ["--play", edge.url(stream, scheme), "--players", n_viewers // 2, "--ramp", 0]
            with bench_load.Load(load, cluster.folder) as running:
                players = running.report(90)["players"]
                pulls, routes = (now - then for now, then in zip(asked(cluster), before))
            results.append({"pulls": pulls, "routes": routes, "playing": sum(p["playing"] for p in players),
                            "asked": sum(p["asked"] for p in players),
                            "first_key_ms": max(p["first_key_ms"]["max"] for p in players)})
    return results


# --- edges ---

def height(ups, edge):
    """Links between the edge and the origin; None when there is no way."""
    for steps in range(1, len(ups) + 1):
        edge = ups.get(edge)
        if edge not in ups:
            return steps if edge else None
    return None


def edges_herd(tries):
    """Returns a result for each try: all edges are asked for a new stream in the same moment."""
    results = []
    sets = {"node_set": NODE_SETS, "scheduler_set": {"max_children": str(N_CHILDREN)}}
    with harness.Cluster(origins=1, edges=N_BURST, **sets) as cluster:
        origin = cluster.origins[0]
        for i in range(tries):
            stream = f"live/burst{i}"
            load = ["--publish", origin.url(stream), "--flv", bench_media.clip("20k"), "--warmup", 1, "--seconds", 1]
            for edge in cluster.edges:
                load += ["--play", edge.url(stream, "http"), "--players", 1, "--ramp", 0]
            with bench_load.Load(load, cluster.folder) as running:
                players = running.report(90)["players"]
                ups = {edge.id: relay.upstream_of(edge, stream) for edge in cluster.edges}
            children = collections.Counter(ups.values())
            results.append({"children": max(children.values()), "heights": [height(ups, edge) for edge in ups],
                            "playing": sum(p["playing"] for p in players),
                            "first_key_ms": max(p["first_key_ms"]["max"] for p in players)})
    return results


# --- a node that comes back ---

class Returning(fleet.Repeating):
    """A node that starts anew again and again, each time with all its streams."""

    def __init__(self, scheduler):
        super().__init__()
        self.scheduler, self.n_returns = scheduler, 0

    def step(self):
        node = fleet.make(self.scheduler, "origin", 1, "returning-")[0]
        fleet.own(node, [f"back/s{i}" for i in range(N_RETURNING)], int(time.time() * 1e6))
        fleet.report(node)
        self.n_returns += 1
        return PAUSE_S


def returning_herd(seconds, cores):
    """Returns (milliseconds that others waited for the scheduler, how often the node came back)."""
    folder = tempfile.mkdtemp(prefix="headwater-bench-")
    with bench_proc.pinned({cores[-1]}):
        process = harness.program("headwater-scheduler", SCHEDULER_SETS, folder)
    try:
        address = process.wait_ready()["http"]
        origin, edges = fleet.make(address, "origin", 1, "origin-")[0], fleet.make(address, "edge", N_EDGES, "edge-")
        fleet.own(origin, [f"live/s{i}" for i in range(N_EDGES)], int(time.time() * 1e6))
        for node in (origin, *edges):
            fleet.report(node)
        paths_file = os.path.join(folder, "paths")
        with open(paths_file, "w") as file:
            file.write("\n".join(f"/v1/route?stream=live/s{i}&protocol=flv&intent=source&node={edge.id}"
                                 for i, edge in enumerate(edges)))
        with Returning(address) as node:
            latency_ms = bench_cluster.ask(address, paths_file, ASKED_PER_S, seconds, {cores[0]})["latency_ms"]
    finally:
        problems = process.problems(process.stop())
        shutil.rmtree(folder, ignore_errors=True)
    if problems:
        raise AssertionError("; ".join(problems))
    return latency_ms, node.n_returns


# --- all ---

VIEWERS_HEAD = ("viewers at once", "tries", "pulls from the origin", "route queries", "must be", "without media",
                "last one's first key frame ms", "verdict")
EDGES_HEAD = ("edges at once", "tries", "most children of a node", "must be", "deepest", "must be", "without media",
              "last one's first key frame ms", "verdict")
RETURNING_HEAD = ("streams", "returns", f"others at {ASKED_PER_S:,} /s: p50 ms", "p99 ms", "longest ms", "must be",
                  "verdict")


def judge_viewers(results, n_viewers):
    missing = sum(result["asked"] - result["playing"] for result in results)
    most = [max(result[key] for result in results) for key in ("pulls", "routes", "first_key_ms")]
    verdict = "ok" if most[:2] == [1, 1] and not missing else "MISSED"
    return (f"{n_viewers:,}", len(results), f"{most[0]:.0f}", f"{most[1]:.0f}", "1, 1", missing, f"{most[2]:.0f}",
            verdict)


def judge_edges(results):
    heights = [height for result in results for height in result["heights"]]
    most = max(result["children"] for result in results)
    missing = sum(N_BURST - result["playing"] for result in results) + heights.count(None)
    deepest = max(height or 0 for height in heights)
    verdict = "ok" if most <= N_CHILDREN and deepest <= MAX_DEPTH and not missing else "MISSED"
    return (N_BURST, len(results), most, f"<= {N_CHILDREN}", deepest, f"<= {MAX_DEPTH}", missing,
            f"{max(result['first_key_ms'] for result in results):.0f}", verdict)


def judge_returning(latency_ms, n_returns):
    verdict = bench_cluster.verdict(latency_ms["max"], STALL_MS) if n_returns else "MISSED"
    return (f"{N_RETURNING:,}", n_returns, *(f"{latency_ms[key]:.2f}" for key in ("p50", "p99", "max")),
            f"longest < {STALL_MS:g}", verdict)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=10000)
    parser.add_argument("--tries", type=int, default=5, help="of the viewers, and of the edges")
    parser.add_argument("--seconds", type=float, default=20, help="in which the node comes back again and again")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    bench_proc.raise_descriptor_limit()
    bench_cluster.begin()
    results = viewers_herd(args.viewers, args.tries)
    viewers = judge_viewers(results, args.viewers)
    bench_cluster.show(VIEWERS_HEAD, [viewers])
    bursts = edges_herd(args.tries)
    edges = judge_edges(bursts)
    bench_cluster.show(EDGES_HEAD, [edges])
    latency_ms, n_returns = returning_herd(args.seconds, sorted(os.sched_getaffinity(0)))
    returning = judge_returning(latency_ms, n_returns)
    bench_cluster.show(RETURNING_HEAD, [returning])
    found = {"viewers": {"tries": results, "verdict": viewers[-1]},
             "edges": {"tries": bursts, "verdict": edges[-1]},
             "returning": {"latency_ms": latency_ms, "n_returns": n_returns, "verdict": returning[-1]}}
    bench_cluster.finish(found, args.json, viewers[-1] == edges[-1] == returning[-1] == "ok")


if __name__ == "__main__":
    main()
