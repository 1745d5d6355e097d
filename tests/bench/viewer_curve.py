#!/usr/bin/env python3
"""Records what a scheduler hears of an edge while a crowd comes and goes: viewers, egress and CPU, once a second, as
the rows of tests/unit/scheduler/recorded_crowd.h.

    tests/bench/viewer_curve.py > rows
"""

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
import harness

BASE, CROWD = 60, 1140
CALM_S, RAMP_S, STAY_S, AFTER_S = 30, 60, 60, 30


def load(args, folder):
    return bench_load.Load([*args, "--no-stamp", "--seconds", "3600"], folder, cores=os.sched_getaffinity(0))


def play(edge, players, ramp):
    return ["--play", edge.url("live/curve", "http"), "--players", players, "--ramp", ramp]


def rows(scheduler, seconds):
    """One a second; when the edge says the same for longer it is a row as any other."""
    for _ in range(seconds):
        began = time.monotonic()
        said = next(n for n in harness.items(scheduler.http, "/api/v1/nodes") if n["id"] == "edge-1")["load"]
        print(f"    {{{said['viewers']}, {said['out_bps'] // 1000}, {said['cpu_permille']}}},", flush=True)
        time.sleep(max(0, 1 - (time.monotonic() - began)))


def main():
    sets = {"limits.connections_per_ip": "0", "loops": "1"}
    with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder, \
            harness.Cluster(origins=1, edges=1, node_set=sets) as cluster:
        edge, clip = cluster.edges[0], bench_media.clip("2fps")
        publish = ["--publish", cluster.origins[0].url("live/curve"), "--flv", clip]
        with load([*publish, *play(edge, BASE, 1)], folder) as base:
            base.wait_begin(60)
            rows(cluster.scheduler, CALM_S)
            with load(play(edge, CROWD, RAMP_S), folder):
                rows(cluster.scheduler, RAMP_S + STAY_S)
            rows(cluster.scheduler, AFTER_S)


if __name__ == "__main__":
    sys.exit(main())
