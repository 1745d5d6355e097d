#!/usr/bin/python3
"""How many route queries a second a scheduler answers on one core, from memory, and how soon at half of what it must:
for a small cluster and for a big one. The scheduler is pinned to one core, headwater-tool ask to another."""

import argparse
import os
import random
import shutil
import tempfile

import bench_cluster

import bench_proc
import fleet
import harness

N_PATHS = 20000
LOADS = ((64, 1), (16, 8))  # connections, and requests under way on each
# The fleet reports once and is believed for the length of the run.
SETS = {"http.listen": "127.0.0.1:0", "store.type": "memory", "lease_ms": 600000, "heartbeat_ms": 60000}
# name -> origins, edges, streams, what must be answered each second
SIZES = {"small": (1, 4, 50, 60000), "big": (500, 4500, 100000, 30000)}
N_CARRIERS = 2    # edges that have each stream
LATENCY_MS = 2.0  # p99 at half of the rate that must be
INTENTS = {"source": "an edge asks where to pull", "play": "where a viewer should go"}


class Fleet:
    """Origins that own the streams, edges that carry some of them."""

    def __init__(self, address, n_origins, n_edges, n_streams):
        rng = random.Random(1)
        self.streams = [f"live/s{i}" for i in range(n_streams)]
        self.origins = fleet.make(address, "origin", n_origins, "origin-")
        self.edges = fleet.make(address, "edge", n_edges, "edge-")
        epoch = 1_700_000_000_000_000
        for i, origin in enumerate(self.origins):
            fleet.own(origin, self.streams[i::n_origins], epoch)
        for i, name in enumerate(self.streams):
            for edge in rng.sample(self.edges, N_CARRIERS):
                edge.carry(name, str(epoch), self.origins[i % n_origins].id, viewers=rng.randrange(1, 20))

    def report(self):
        for node in (*self.origins, *self.edges):
            fleet.report(node)

    def paths(self, intent):
        """Each stream is asked for alike, by edges in turn."""
        rng = random.Random(2)
        for _ in range(N_PATHS):
            stream, edge = rng.choice(self.streams), rng.choice(self.edges)
            asker = f"&node={edge.id}" if intent == "source" else ""
            yield f"/v1/route?stream={stream}&protocol=flv&intent={intent}{asker}"


def measure(size, seconds, cores, folder):
    """Returns {intent: figures} of one cluster."""
    n_origins, n_edges, n_streams, must = SIZES[size]
    with bench_proc.pinned({cores[-1]}):
        process = harness.program("headwater-scheduler", SETS, folder, f"scheduler-{size}")
    found = {}
    try:
        address = process.wait_ready()["http"]
        nodes = Fleet(address, n_origins, n_edges, n_streams)
        nodes.report()
        for intent in INTENTS:
            paths_file = os.path.join(folder, f"{size}-{intent}")
            with open(paths_file, "w") as file:
                file.write("\n".join(nodes.paths(intent)))
            one, many = (bench_cluster.ask(address, paths_file, 0, seconds, {cores[0]}, *load) for load in LOADS)
            at_half = bench_cluster.ask(address, paths_file, must // 2, seconds, {cores[0]})
            found[intent] = {"nodes": n_origins + n_edges, "streams": n_streams, "per_s": one["per_s"],
                             "pipelined_per_s": many["per_s"], "must_per_s": must, "rate": must // 2,
                             "latency_ms": at_half["latency_ms"], "rss_kib": process.memory_kib()}
    finally:
        problems = process.problems(process.stop())
    if problems:
        raise AssertionError("; ".join(problems))
    return found


def row(intent, found):
    rate = bench_cluster.verdict(found["per_s"], found["must_per_s"], at_least=True)
    latency = bench_cluster.verdict(found["latency_ms"]["p99"], LATENCY_MS)
    found["verdict"] = "ok" if rate == latency == "ok" else "MISSED"
    return (f"{found['nodes']:,}", f"{found['streams']:,}", INTENTS[intent], f"{found['per_s']:,.0f}",
            f"{found['pipelined_per_s']:,.0f}", f">= {found['must_per_s']:,}", f"{found['rate']:,}",
            f"{found['latency_ms']['p50']:.2f}", f"{found['latency_ms']['p99']:.2f}", f"< {LATENCY_MS:g}",
            f"{found['rss_kib'] / 1024:.0f}", found["verdict"])


HEAD = ("nodes", "streams", "asked", "answers /s", "8 at a time", "must be", "at /s", "p50 ms", "p99 ms", "must be",
        "MiB", "verdict")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of each run")
    parser.add_argument("--size", choices=SIZES, action="append", help="both when none is named")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("routes.py needs two cores: one for the scheduler, one for who asks")
    bench_cluster.begin()
    folder = tempfile.mkdtemp(prefix="headwater-bench-")
    try:
        found = {size: measure(size, args.seconds, cores, folder) for size in args.size or SIZES}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = [row(intent, figures) for one in found.values() for intent, figures in one.items()]
    bench_cluster.show(HEAD, rows)
    bench_cluster.finish(found, args.json, all(cells[-1] == "ok" for cells in rows))


if __name__ == "__main__":
    main()
