#!/usr/bin/python3
"""How soon schedulers over one Redis know of each other's work: from a publish at one until another one routes to it;
and how soon everything is in Redis again when it was emptied."""

import argparse
import contextlib
import http.client
import json
import random
import shutil
import tempfile
import time

import bench_cluster

import fleet
import harness

VISIBLE_MS = 20.0
HEARTBEAT_S = 1.0
N_OWNERS, N_STREAMS = 5, 10000
REBUILT_S = 2 * HEARTBEAT_S
WAIT_S = 30


class Line:
    """A keep-alive connection to a scheduler."""

    def __init__(self, address):
        host, port = harness.parse_address(address)
        self.connection = http.client.HTTPConnection(host, port, timeout=WAIT_S)

    def ask(self, path, method="GET", body=None):
        """Returns (status, JSON or None)."""
        headers = {"Content-Type": "application/json"} if body else {}
        self.connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None


class Pair:
    """Context manager: two schedulers over a redis-server of their own."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="headwater-bench-")
        self.redis = harness.Redis(self.folder)
        self.processes = [self.start(i) for i in range(2)]
        self.addresses = [process.wait_ready()["http"] for process in self.processes]
        for address in self.addresses:
            line = Line(address)
            harness.wait_until(lambda: line.ask("/readyz")[1]["status"] == "ok", WAIT_S, "the store is up")
        return self

    def start(self, index):
        sets = {"http.listen": "127.0.0.1:0", "store.type": "redis", "store.redis.url": self.redis.url(),
                "heartbeat_ms": round(1000 * HEARTBEAT_S), "lease_ms": round(5000 * HEARTBEAT_S)}
        return harness.program("headwater-scheduler", sets, self.folder, f"scheduler-{index + 1}")

    def __exit__(self, kind, *_):
        problems = [text for process in self.processes for text in process.problems(process.stop())]
        self.redis.process.stop()
        if problems and not kind:
            raise AssertionError("; ".join(problems))
        shutil.rmtree(self.folder, ignore_errors=True)

    def is_whole(self):
        """Whether every stream and node of rebuilt() has its key."""
        n_keys = "return #redis.call('KEYS', 'hw:stream:live/many*') + #redis.call('KEYS', 'hw:node:owner-*')"
        return int(self.redis.command("EVAL", n_keys, "0")[1:]) == N_STREAMS + N_OWNERS


def visible(pair, tries):
    """Seconds from the publish request at one scheduler to the first answer of the other one that has the owner."""
    node = fleet.make(pair.addresses[0], "origin", 1, "publisher-")[0]
    here, there = map(Line, pair.addresses)
    found = []
    with fleet.Beating(node, HEARTBEAT_S):
        harness.wait_until(lambda: node.id in {n["id"] for n in there.ask("/api/v1/nodes")[1]["items"]}, WAIT_S,
                           "the other scheduler knows the node")
        for i in range(tries):
            name, began = f"live/visible{i}", time.monotonic()
            status, answer = here.ask(f"/v1/streams/{name}/publish", "POST",
                                      {"v": 1, "node": node.id, "instance": str(node.instance)})
            if status != 200 or answer["decision"] != "granted":
                raise AssertionError(f"{name}: {status} {answer}")
            while True:
                status, stream = there.ask(f"/api/v1/streams/{name}")
                if status == 200 and stream["owner"] == node.id:
                    break
                if time.monotonic() - began > WAIT_S:
                    raise AssertionError(f"{name} is not seen by the other scheduler")
            found.append(time.monotonic() - began)
    return found


def rebuilt(pair, tries):
    """Seconds from FLUSHALL until every stream and node has its key in Redis again."""
    nodes = fleet.make(pair.addresses[0], "origin", N_OWNERS, "owner-")
    for i, node in enumerate(nodes):
        node.scheduler = pair.addresses[i % 2]
        fleet.own(node, [f"live/many{k}" for k in range(i, N_STREAMS, N_OWNERS)], int(time.time() * 1e6))
        fleet.report(node)
    with contextlib.ExitStack() as stack:
        for node in nodes:
            stack.enter_context(fleet.Beating(node, HEARTBEAT_S))
        found = []
        for _ in range(tries):
            harness.wait_until(pair.is_whole, WAIT_S, "all keys are there")
            time.sleep(random.uniform(0, HEARTBEAT_S))  # at any moment between two reports
            began = time.monotonic()
            pair.redis.command("FLUSHALL")
            harness.wait_until(pair.is_whole, WAIT_S, "all keys are there again")
            found.append(time.monotonic() - began)
        for line in map(Line, pair.addresses):
            harness.wait_until(lambda: line.ask("/api/v1/streams/live/many0")[1].get("owner") == nodes[0].id, WAIT_S,
                               "both schedulers know the owners")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=200, help="publishes; a tenth of it rebuilds")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    bench_cluster.begin()
    with Pair() as pair:
        samples = {"publish visible at another scheduler": (visible(pair, args.tries), VISIBLE_MS),
                   f"Redis whole after FLUSHALL, {N_STREAMS:,} streams": (
                       rebuilt(pair, max(1, args.tries // 10)), 1000 * REBUILT_S)}
    found, rows = {}, []
    for what, (seconds, limit_ms) in samples.items():
        spread = bench_cluster.spread_ms(seconds)
        found[what] = spread | {"must_be_ms": limit_ms, "verdict": bench_cluster.verdict(spread["p99"], limit_ms)}
        rows.append((what, spread["n"], *(f"{spread[key]:.1f}" for key in ("p50", "p99", "max")), f"< {limit_ms:g}",
                     found[what]["verdict"]))
    bench_cluster.show(("what", "tries", "p50 ms", "p99 ms", "longest ms", "p99 must be", "verdict"), rows)
    bench_cluster.finish(found, args.json, all(one["verdict"] == "ok" for one in found.values()))


if __name__ == "__main__":
    main()
