#!/usr/bin/python3
"""What credentials on every request cost: CPU of a node that answers 1,000 HLS viewers, of an open app and of one where
each request bears a grant, in turn. Prints Markdown; --json FILE also writes the numbers."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
os.environ.setdefault("HEADWATER_BIN_DIR", os.path.join(ROOT, ".build", "release", "bin"))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import bench_proc
import credentials
import harness
import hls
import media

VIEWERS, SEGMENT_S = 1000, 2.0
TARGET = 3.0  # % of a core


def paths_of(node, app):
    """What 1,000 viewers ask for once a segment: each its playlist, and the newest segment in it."""
    playlists, pieces = [], []
    for _ in range(VIEWERS):
        query = credentials.sign(f"{app}/a") if app == "shut" else ""
        status, _, text = harness.http_request(node.http, f"/{app}/a.m3u8?{query}", timeout_s=20)
        assert status == 200, (status, text)
        path = urllib.parse.urljoin(f"/{app}/a.m3u8", hls.variants(text.decode())[0][1])
        playlists.append(path)
        status, _, text = harness.http_request(node.http, path, timeout_s=20)
        assert status == 200, (status, text)
        segments = [line for line in text.decode().split("\n") if line and line[0] != "#"]
        pieces.append(urllib.parse.urljoin(path, segments[-1]))
    return [path for both in zip(playlists, pieces) for path in both]


def ask(node, paths, folder, seconds, cores):
    """CPU of the node in % of a core, and what the asker saw."""
    path, out = os.path.join(folder, "paths"), os.path.join(folder, "asked.json")
    with open(path, "w") as file:
        file.write("\n".join(paths) + "\n")
    argv = [os.path.join(harness.BIN_DIR, "headwater-tool"), "ask", "--to", "http://%s:%d" % node.http, "--paths", path,
            "--connections", "50", "--rate", str(2 * VIEWERS / SEGMENT_S), "--seconds", str(seconds), "--warmup", "0",
            "--json", out]
    before = node.cpu_s()
    with bench_proc.pinned(cores):
        subprocess.run(argv, check=True, timeout=seconds + 60)
    cpu = (node.cpu_s() - before) / seconds * 100
    with open(out) as file:
        figures = json.load(file)
    assert figures["failed"] == 0, figures["why"]
    return cpu, figures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json")
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    rounds = []
    with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder:
        sets = {**credentials.write_files(folder), "access.rules": ["shut publish=open play=sign"], "loops": "1",
                "hls.window_s": "300", "hls.idle_ms": "600000", "hls.part_ms": "0",
                "limits.hls_sessions_per_ip": "0"}
        with bench_proc.pinned(cores[:1]), harness.Cluster(origins=1, edges=0, schedulers=0, node_set=sets) as cluster:
            node = cluster.origins[0]
            encoders = [media.publish(media.clip("small"), node.url(f"{app}/a"), cluster.folder, app, loop=True)
                        for app in ("open", "shut")]
            for app in ("open", "shut"):
                hls_path = f"/{app}/a.m3u8?{credentials.sign(f'{app}/a')}"
                harness.wait_until(lambda: harness.http_request(node.http, hls_path, timeout_s=20)[0] == 200, 30)
            for index in range(args.rounds):
                order = ("open", "shut") if index % 2 == 0 else ("shut", "open")
                rounds.append({app: ask(node, paths_of(node, app), folder, args.seconds, cores[-1:])[0] for app in order})
            for encoder in encoders:
                encoder.kill()
    more = [one["shut"] - one["open"] for one in rounds]
    print(f"| {VIEWERS} HLS viewers, segments of {SEGMENT_S:g} s | CPU, % of a core |\n| --- | --- |")
    for app, what in (("open", "open"), ("shut", "a grant on every request")):
        values = [one[app] for one in rounds]
        print(f"| {what} | {statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f}) |")
    print(f"| more | {statistics.median(more):.1f} ({min(more):.1f} to {max(more):.1f}); target below {TARGET:g} |")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"rounds": rounds, "more": statistics.median(more)}, file, indent=1)
    return 0 if statistics.median(more) < TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
