#!/usr/bin/env python3
"""What /metrics costs while a node has thousands of streams: how long an answer takes, and whether media loops are
held up by it. The figures are promises: an answer in 50 ms, no turn of a media loop above 5 ms more often than without.

    tests/bench/metrics.py
"""

import argparse
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
os.environ.setdefault("HEADWATER_BIN_DIR", os.path.join(ROOT, ".build", "release", "bin"))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import bench_load
import bench_media
import bench_proc
import harness

LIMIT_MS = 50
TURN_S = 0.005
STREAMS = 5000


def median(values):
    return sorted(values)[len(values) // 2]


def ask(node, path="/metrics"):
    """(ms, text)"""
    began = time.perf_counter()
    status, _, body = harness.http_request(node.admin, path, timeout_s=60)
    if status != 200:
        raise AssertionError(f"{path}: {status}")
    return (time.perf_counter() - began) * 1000, body.decode()


def turns(text):
    """(all turns of media loops, those above TURN_S)"""
    metrics = harness.Metrics(text)
    family = "headwater_loop_turn_seconds"
    n = metrics.total(f"{family}_count", loop="media")
    return n, n - metrics.total(f"{family}_bucket", loop="media", le=f"{TURN_S:.9g}")


def window(node, seconds, rate):
    """Answers in ms, and slow turns a second, while it is asked rate times a second (0: not at all)."""
    took = []
    began = time.monotonic()
    n, slow = turns(ask(node)[1])
    while time.monotonic() - began < seconds:
        if rate:
            took.append(ask(node)[0])
        time.sleep(max(0, 1 / rate - took[-1] / 1000) if rate else 0.2)
    seconds = time.monotonic() - began
    n_after, slow_after = turns(ask(node)[1])
    return took, (n_after - n) / seconds, (slow_after - slow) / seconds


def measure(args, top, folder):
    cores = sorted(os.sched_getaffinity(0))
    sets = {"cluster.node_id": "bench", "rtmp.listen": "127.0.0.1:0", "http.listen": "127.0.0.1:0",
            "admin.listen": "127.0.0.1:0", "loops": "1", "drain_timeout_s": "1", "metrics.streams": str(top),
            "limits.publishers": "0"}
    with bench_proc.pinned({cores[0]}):
        node = harness.Node("bench", sets, folder)
    node.learn()
    try:
        load_args = ["--publish", node.url("live/s{i}"), "--publishers", args.streams, "--flv", bench_media.clip("2fps"),
                     "--no-stamp", "--play", node.url("live/s{i}", "http"), "--players", args.players, "--ramp", "10",
                     "--seconds", "600"]
        with bench_load.Load(load_args, folder, cores=cores[-1:]) as load:
            load.wait_begin(300)
            quiet = window(node, args.seconds, 0)
            asked = window(node, args.seconds, args.rate)
            text = ask(node)[1]
            n = harness.Metrics(text).total("headwater_streams", kind="published")
            load.popen.terminate()
            load.popen.wait()
    finally:
        node.kill()
    return {"streams": int(n), "bytes": len(text), "quiet": quiet, "asked": asked}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--players", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=20, help="of each window")
    parser.add_argument("--rate", type=float, default=5, help="times a second that it is asked for")
    args = parser.parse_args()
    print(f"{args.streams} streams, {args.players} viewers, one media loop; asked {args.rate:g} times a second\n")
    print("| series of streams | streams | bytes | median ms | most ms | turns above 5 ms, per s: without | with |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    broken = False
    for top in (0, 500):
        with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder:
            found = measure(args, top, folder)
        took, _, slow = found["asked"]
        before = found["quiet"][2]
        print(f"| {top} | {found['streams']} | {found['bytes']} | {median(took):.1f} | {max(took):.1f} "
              f"| {before:.2f} | {slow:.2f} |", flush=True)
        broken |= median(took) > LIMIT_MS or slow > before + 0.5 or found["streams"] < args.streams
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
