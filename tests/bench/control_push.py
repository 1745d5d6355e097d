#!/usr/bin/python3
"""What a push target that freezes costs the others: how late frames come to viewers of the same stream, next to runs
without a push, in turn. Prints Markdown; --json FILE also writes the numbers."""

import argparse
import contextlib
import json
import os
import shlex
import signal
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
os.environ.setdefault("HEADWATER_BIN_DIR", os.path.join(ROOT, ".build", "release", "bin"))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import bench_load
import bench_proc
import harness
import media

STREAM = "live/pushed"
VIEWERS = 20  # of 6 Mbit/s
LIMIT_MS = 5
ATTEMPTS = 3
PLAIN, FROZEN = "no push", "frozen target"


@contextlib.contextmanager
def node_of(name, sets, folder, core):
    with bench_proc.pinned({core}):
        node = harness.Node(name, {
            "cluster.node_id": name, "rtmp.listen": "127.0.0.1:0", "http.listen": "127.0.0.1:0",
            "admin.listen": "127.0.0.1:0", "loops": "1", "drain_timeout_s": "1", **sets}, folder)
    try:
        yield node.learn()
    finally:
        node.signal(signal.SIGCONT)
        problems = node.problems(node.stop())
    if problems:
        raise AssertionError("; ".join(problems))


def push_of(node):
    return harness.get_json(node.admin, "/api/v1/relays")["items"][0]


def watch(node, target, folder, args, cores):
    """Frames' delays at viewers; target, if there is one, stands still from the first second to the last."""
    load_args = ["--publish", node.url(STREAM), "--flv", media.clip("fat"), "--play", node.url(STREAM),
                 "--players", VIEWERS, "--seconds", args.seconds]
    error = None
    with bench_load.Load(load_args, folder, cores=cores[-1:]) as load:
        load.wait_begin()
        if target:
            harness.wait_until(lambda: push_of(node)["state"] == "running", 10, "the stream is pushed")
            target.signal(signal.SIGSTOP)
        report = load.report(args.seconds + 30)
        if target:
            error = push_of(node)["streams"][0]["last_error"] if push_of(node)["streams"] else "ended"
            target.signal(signal.SIGCONT)
    faults = bench_load.faults(report)
    if faults:
        raise AssertionError("; ".join(faults))
    video = bench_load.good_group(report)["latency_ms"]["video"]
    return {**{key: video[key] for key in ("p50", "p99", "p999", "n")}, "last_error": error}


def run(args, is_pushed):
    cores = sorted(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-bench-"))
        sets, target = {}, None
        if is_pushed:
            target = stack.enter_context(node_of("target", {}, folder, cores[-1]))
            sets = {"push.targets": f"{STREAM} url={target.url(STREAM)}"}
        node = stack.enter_context(node_of("node", sets, folder, cores[0]))
        return watch(node, target, folder, args, cores)


def counted(args, is_pushed):
    """A run that counts; one with a fault is repeated."""
    for left in reversed(range(ATTEMPTS)):
        try:
            return run(args, is_pushed)
        except AssertionError as error:
            print(f"a run does not count: {error}", file=sys.stderr, flush=True)
            if not left:
                raise


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=30, help="of each run")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    rounds = []
    for i in range(args.rounds):
        kinds = ((PLAIN, False), (FROZEN, True))
        rounds.append({name: counted(args, is_pushed) for name, is_pushed in kinds[::-1 if i % 2 else 1]})
    more = statistics.median(found[FROZEN]["p999"] - found[PLAIN]["p999"] for found in rounds)
    print(f"`{shlex.join(['tests/bench/control_push.py', *sys.argv[1:]])}`, {time.strftime('%Y-%m-%d %H:%M')}\n")
    print("| run | p50 | p99 | p99.9 | frames |\n| --- | --- | --- | --- | --- |")
    for name in (PLAIN, FROZEN):
        cells = [f"{statistics.median(found[name][key] for found in rounds):.1f} ms" for key in ("p50", "p99", "p999")]
        print("| " + " | ".join([name, *cells, str(sum(found[name]["n"] for found in rounds))]) + " |")
    good = more <= LIMIT_MS
    print(f"\np99.9 of frame delay: {more:+.1f} ms (median of {len(rounds)} rounds); at most +{LIMIT_MS} ms:"
          f" {'ok' if good else 'MISSED'}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(rounds, file, indent=1)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
