#!/usr/bin/python3
"""Figures of a cluster on loopback: relay, join, streams200, restart, memory. README.md has a line on
each. Prints Markdown; --json FILE also writes the numbers."""

import argparse
import json
import os
import random
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
os.environ.setdefault("HEADWATER_BIN_DIR", os.path.join(ROOT, ".build", "release", "bin"))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import cycles
import harness
import load
import media
import relay
import swarm
from bench_report import percentile


def table(head, rows):
    for cells in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(str(cell) for cell in cells) + " |")


def run_relay(args):
    """Are the packets played the packets published?"""
    found, rows = {}, []
    with harness.Cluster(origins=1, edges=2, node_set={"publisher_grace_ms": "500"}) as cluster:
        for kind in ("h264_aac", "h264_mp3", "audio_only", "video_only"):
            found[kind] = relay.run_relay(cluster, kind, args.seconds or 10)
            for where, verdict in found[kind].items():
                same = isinstance(verdict, dict)
                tracks = ", ".join(f"{n} {track} (moved {shift} ms)"
                                   for track, (n, shift) in verdict.items()) if same else verdict
                rows.append((kind, where, "same" if same else "DIFFERENT", tracks))
    table(("input", "played from", "packets", "count"), rows)
    return found, all(row[2] == "same" for row in rows)


class PublisherProcess:
    """Publishers in a process of their own, so that they do not disturb a stop-watch."""

    def __init__(self, address, streams, clip_path):
        self.pid = os.fork()
        if self.pid:
            return
        try:
            with swarm.Swarm() as flock:
                clip = swarm.Clip(clip_path)
                for stream in streams:
                    flock.publish(address, stream, clip)
                flock.run(3600)
        finally:
            os._exit(0)

    def stop(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def join_once(kind, node, stream):
    """Milliseconds from connect() to the first media byte."""
    with swarm.Swarm() as flock:
        viewer = flock.play_rtmp(node.rtmp, stream) if kind == "RTMP" else flock.play_flv(node.http, stream)
        flock.until(lambda: viewer.log.first_media_at or viewer.closed, 10, f"{kind} {stream} plays")
        if viewer.closed:
            raise AssertionError(f"{kind} {stream}: closed, {viewer.error}")
        return (viewer.log.first_media_at - viewer.started_at) * 1000


def wait_not_carried(edge, stream):
    harness.wait_until(lambda: not any(s["name"] == stream for s in edge.streams()), 20,
                       f"{edge.id} no longer carries {stream}")


def run_join(args):
    """How long until a viewer has the first media byte?"""
    tries, found, rows = args.tries or 100, {}, []
    streams = [f"live/join{i}" for i in range(10)]
    with harness.Cluster(origins=1, edges=1, node_set={"pull_idle_ms": "0"}) as cluster:
        origin, edge = cluster.origins[0], cluster.edges[0]
        publishers = PublisherProcess(origin.rtmp, streams, media.clip("h264_aac"))
        try:
            for stream in streams:
                cluster.wait_route(stream)
            time.sleep(2)  # GOP caches are full: the streams run, as the figure says
            for kind in ("RTMP", "HTTP-FLV"):
                with swarm.Swarm() as keeper:  # keeps the edge warm; its socket fills unread
                    warm = keeper.play_flv(edge.http, streams[0])
                    keeper.until(lambda: warm.log.n_frames, 10, "the edge is warm")
                    times = []
                    for _ in range(tries):
                        times.append(join_once(kind, edge, streams[0]))
                        keeper.run(0.02 + random.random() / 50)
                found[f"warm {kind}"] = times
                times = []
                for i in range(tries):
                    wait_not_carried(edge, streams[i % len(streams)])
                    times.append(join_once(kind, edge, streams[i % len(streams)]))
                found[f"cold {kind}"] = times
                wait_not_carried(edge, streams[0])
        finally:
            publishers.stop()
    good = True
    for name, times in found.items():
        limit_ms = 20 if name.startswith("warm") else 100
        p50, p99 = percentile(times, 50), percentile(times, 99)
        good = good and p99 < limit_ms
        rows.append((name, len(times), f"{p50:.1f}", f"{p99:.1f}", f"{max(times):.1f}", limit_ms))
    table(("edge", "tries", "p50 ms", "p99 ms", "longest ms", "p99 must be under"), rows)
    return found, good


def run_streams200(args):
    """Do 200 streams at once get through whole?"""
    with harness.Cluster(origins=2, edges=2) as cluster, swarm.Swarm() as flock:
        figures = load.run_streams(cluster, flock, swarm.Clip(media.clip("small")),
                                   seconds=args.seconds or 60)
    table(("figure", "value"), [(key, value) for key, value in figures.items() if key != "faults"]
          + [("faults", len(figures["faults"]))])
    for fault in figures["faults"][:20]:
        print(f"- {fault}")
    return figures, not figures["faults"]


def run_restart(args):
    """What do viewers see of an encoder that is killed and started again?"""
    clip, stream = media.clip("h264_aac"), "live/restart"
    with harness.Cluster(origins=1, edges=2) as cluster, swarm.Swarm() as flock:
        url = cluster.origins[0].url(stream)
        publisher = media.publish(clip, url, cluster.folder, loop=True)
        viewers = {f"{node.id} {kind}": play for node in cluster.edges for kind, play in (
            ("RTMP", flock.play_rtmp(node.rtmp, stream)), ("HTTP-FLV", flock.play_flv(node.http, stream)))}
        try:
            flock.until(lambda: all(v.log.n_frames > 100 for v in viewers.values()), 20, "all play")
            publisher.kill()
            flock.run(0.5)
            before = {name: (v.log.last_ts, v.log.last_media_at, v.log.n_frames) for name, v in viewers.items()}
            flock.run(args.seconds or 3)
            publisher = media.publish(clip, url, cluster.folder, loop=True)
            flock.until(lambda: all(v.closed or v.log.n_frames > before[n][2] for n, v in viewers.items()), 20,
                        "media is back")
            resumed = {name: (v.log.last_ts, v.log.last_media_at) for name, v in viewers.items()}
            flock.run(3)
            closed = {name: viewer.closed for name, viewer in viewers.items()}
        finally:
            publisher.kill()
    found, rows = {}, []
    for name, viewer in viewers.items():
        (ts0, at0, _), (ts1, at1) = before[name], resumed[name]
        faults = list(viewer.log.problems) + ([f"closed: {viewer.error}"] if closed[name] else [])
        found[name] = {"silence_ms": round((at1 - at0) * 1000), "time_stamp_step_ms": ts1 - ts0,
                       "n_faults": len(faults), "faults": faults}
        rows.append((name, *list(found[name].values())[:3]))
    table(("viewer", "silence ms", "time stamps went on by ms", "steps back or closed"), rows)
    for name, value in found.items():
        for fault in value["faults"]:
            print(f"- {name}: {fault}")
    return found, not any(value["faults"] for value in found.values())


def run_memory(args):
    """Is a node's memory flat over publish, play, leave cycles?"""
    n_cycles, series = args.tries or 1000, []
    with harness.Cluster(origins=1, edges=1, node_set={
            "publisher_grace_ms": "200", "pull_idle_ms": "200"}) as cluster, swarm.Swarm() as flock:
        def sample(i):
            for node in cluster.nodes:
                harness.wait_until(lambda: not node.streams(), 20, f"{node.id} has no streams")
            series.append([i] + [value for node in cluster.nodes for value in (
                node.memory_kib("Rss"), node.memory_kib("Pss"), cycles.n_descriptors(node))])
        sample(0)
        cycles.run_cycles(cluster, flock, swarm.Clip(media.clip("small")), n_cycles,
                          max(1, n_cycles // 10), sample)
        head = [f"{node.id} {what}" for node in cluster.nodes for what in ("Rss KiB", "Pss KiB", "descriptors")]
    table(("cycles", *head), series)
    late = [row for row in series if row[0] * 10 >= n_cycles * 3]  # the first third warms up
    growth = [late[-1][1] - late[0][1], late[-1][4] - late[0][4]]
    print(f"\nRss from {late[0][0]} cycles to {late[-1][0]}: origin {growth[0]:+} KiB, edge {growth[1]:+} KiB")
    return {"series": series, "growth_kib": growth}, max(growth) < 1024


FIGURES = {"relay": run_relay, "join": run_join, "streams200": run_streams200, "restart": run_restart,
           "memory": run_memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figure", nargs="+", choices=[*FIGURES, "all"])
    parser.add_argument("--seconds", type=int, help="length of the run, where it has one")
    parser.add_argument("--tries", type=int, help="join: tries of each kind; memory: cycles")
    parser.add_argument("--json", metavar="FILE", help="write the numbers here")
    args = parser.parse_args()
    names = list(FIGURES) if "all" in args.figure else args.figure
    found, good = {}, True
    print(f"`{' '.join(sys.argv)}` on {os.cpu_count()} cores, {harness.BIN_DIR}")
    for name in names:
        print(f"\n### {name}: {FIGURES[name].__doc__}\n")
        found[name], ok = FIGURES[name](args)
        print(f"\n{name}: {'as it must be' if ok else 'NOT as it must be'}", flush=True)
        good = good and ok
    if args.json:
        with open(args.json, "w") as file:
            json.dump(found, file, indent=1)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
