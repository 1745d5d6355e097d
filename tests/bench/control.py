#!/usr/bin/python3
"""What control costs the media: figures of hooks, limits, relays and recording, each next to a run without, in turn.
README.md has a line on each. Prints Markdown; --json FILE also writes the numbers."""

import argparse
import contextlib
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
os.environ.setdefault("HEADWATER_BIN_DIR", os.path.join(ROOT, ".build", "release", "bin"))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import bench_load
import bench_proc
import harness
import media

STREAM = "live/control"
VIEWERS, COMERS_A_S = 100, 5
ATTEMPTS = 3


def table(head, rows):
    for cells in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(str(cell) for cell in cells) + " |")


class Frozen:
    """A server that takes connections and never says a word."""

    def __init__(self):
        self.peers = []
        self.listener = harness.Listener(self._keep)
        self.port = self.listener.port

    def _keep(self, peer):
        self.peers.append(peer)
        with contextlib.suppress(OSError):
            while peer.recv(65536):
                pass

    def close(self):
        self.listener.close()
        for peer in self.peers:
            peer.close()


class Comers:
    """Viewers that come, and leave half a second later: something to tell of."""

    def __init__(self, url):
        self.over, self.n = threading.Event(), 0
        self.thread = threading.Thread(target=self._run, args=(url,), daemon=True)
        self.thread.start()

    def _run(self, url):
        running = []
        while not self.over.wait(1 / COMERS_A_S):
            running.append(subprocess.Popen(["curl", "-s", "--max-time", "0.5", "-o", os.devnull, url]))
            self.n += 1
            running = [popen for popen in running if popen.poll() is None]
        for popen in running:
            popen.wait()

    def stop(self):
        self.over.set()
        self.thread.join()


@contextlib.contextmanager
def node_of(sets, folder, core):
    """A node on a core of its own, if there are two."""
    with bench_proc.pinned({core}):
        node = harness.Node("node", {
            "cluster.node_id": "node", "rtmp.listen": "127.0.0.1:0", "http.listen": "127.0.0.1:0",
            "admin.listen": "127.0.0.1:0", "loops": "1", "drain_timeout_s": "1", **sets}, folder)
    try:
        yield node.learn()
    finally:
        problems = node.problems(node.stop())
    if problems:
        raise AssertionError("; ".join(problems))


def delays(args, sets, folder):
    """One run: quantiles of how late frames come to viewers, while others come and go."""
    cores = sorted(os.sched_getaffinity(0))
    with node_of(sets, folder, cores[0]) as node:
        load_args = ["--publish", node.url(STREAM), "--flv", media.clip("h264_aac"), "--play", node.url(STREAM),
                     "--players", VIEWERS, "--seconds", args.seconds]
        with bench_load.Load(load_args, folder, cores=cores[-1:]) as load:
            load.wait_begin()
            comers = Comers(node.url(STREAM, "http"))
            try:
                report = load.report(args.seconds + 30)
            finally:
                comers.stop()
        faults = bench_load.faults(report)
        if faults:
            raise AssertionError("; ".join(faults))
        hooks = harness.get_json(node.admin, "/api/v1/hooks")["items"]
    video = bench_load.good_group(report)["latency_ms"]["video"]
    return {"p50": video["p50"], "p99": video["p99"], "p999": video["p999"], "n": video["n"],
            "comers": comers.n, "waiting": sum(h["waiting"] for h in hooks), "dropped": sum(h["dropped"] for h in hooks)}


def counted(measure, *args):
    """A run that counts; one with a fault is repeated."""
    for left in reversed(range(ATTEMPTS)):
        try:
            return measure(*args)
        except AssertionError as error:
            print(f"a run does not count: {error}", file=sys.stderr, flush=True)
            if not left:
                raise


def in_turn(args, kinds):
    """kinds: name -> sets. [{name: delays}] of each round, every other round in reverse order."""
    rounds = []
    for i in range(args.rounds):
        found = {}
        for name in list(kinds)[::-1 if i % 2 else 1]:
            with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder:
                found[name] = counted(delays, args, kinds[name], folder)
        rounds.append(found)
    return rounds


def judge(rounds, plain, other, limit_ms):
    """The median of what the other one is later by, within a round."""
    more = statistics.median(found[other]["p999"] - found[plain]["p999"] for found in rounds)
    table(("run", "p50", "p99", "p99.9", "frames"),
          [(name, *(f"{statistics.median(found[name][key] for found in rounds):.1f} ms"
                    for key in ("p50", "p99", "p999")), sum(found[name]["n"] for found in rounds))
           for name in (plain, other)])
    print(f"\np99.9 of frame delay: {more:+.1f} ms (median of {len(rounds)} rounds); at most +{limit_ms} ms:"
          f" {'ok' if more <= limit_ms else 'MISSED'}")
    return more <= limit_ms


def run_hooks(args):
    """Does a receiver that hangs delay frames?"""
    frozen = Frozen()
    target = f"http://127.0.0.1:{frozen.port}/ timeout_ms=30000"
    try:
        rounds = in_turn(args, {"no hooks": {}, "frozen receiver": {"hooks.targets": target, "hooks.update_s": "1"}})
    finally:
        frozen.close()
    if not all(found["frozen receiver"]["waiting"] > 10 for found in rounds):
        raise AssertionError("the receiver was told of nothing, so nothing was measured")
    return rounds, judge(rounds, "no hooks", "frozen receiver", 5)


FIGURES = {"hooks": run_hooks}


def main():
    parser = argparse.ArgumentParser(description=__doc__, epilog="; ".join(
        f"{name}: {run.__doc__}" for name, run in FIGURES.items()))
    parser.add_argument("figure", nargs="*", metavar="figure", help="which to take; all when none is named")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=30, help="of each run")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    unknown = set(args.figure) - set(FIGURES)
    if unknown:
        parser.error(f"no figure {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    found, good = {}, True
    for name in args.figure or FIGURES:
        print(f"\n## {name}\n`{shlex.join(['tests/bench/control.py', *sys.argv[1:]])}`,"
              f" {time.strftime('%Y-%m-%d %H:%M')}\n", flush=True)
        found[name], ok = FIGURES[name](args)
        good = good and ok
    if args.json:
        with open(args.json, "w") as file:
            json.dump(found, file, indent=1)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
