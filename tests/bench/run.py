#!/usr/bin/python3
"""Measures Headwater against the least possible programs (tests/bench/floor) and nginx with its RTMP
module: one server at a time, pinned to one core, the load on another, in interleaved rounds. Prints
Markdown; README.md says what is measured and how. Needs a release build and, once,
deploy/install-packages.sh bench."""

import argparse
import json
import os
import shlex
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
os.environ.setdefault("HEADWATER_BIN_DIR", os.path.join(ROOT, ".build", "release", "bin"))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import bench_report
import bench_run
import bench_scenarios
import bench_servers
import harness

PEERS = ("headwater", "floor", "nginx")
LATENCIES = ("realtime", "balanced", "efficient")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, epilog="scenarios: " + "; ".join(
        f"{name}: {build.__doc__}" for name, build in bench_scenarios.SCENARIOS.items() if name != "S4"))
    parser.add_argument("scenario", nargs="*", metavar="scenario",
                        help="which to run; all of them when none is named")
    parser.add_argument("--pairs", type=int, default=9, help="rounds; each runs every server once")
    parser.add_argument("--seconds", type=float, default=20, help="steady window of a run")
    parser.add_argument("--quick", action="store_true", help="one round of 5 s: does the bench itself work?")
    parser.add_argument("--latency", nargs="+", choices=LATENCIES, default=LATENCIES,
                        help="policies that are run, where a scenario has a choice")
    parser.add_argument("--only-peers", default=",".join(PEERS), help="comma-separated, of " + ",".join(PEERS))
    parser.add_argument("--json", metavar="FILE", help="results are put into it as each scenario ends;"
                        " those of other scenarios stay")
    parser.add_argument("--markdown", metavar="FILE", help="tables of all that the JSON file has")
    parser.add_argument("--report", action="store_true", help="measure nothing: print what --json FILE has")
    args = parser.parse_args()
    unknown = set(args.scenario) - set(bench_scenarios.SCENARIOS)
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))};"
                     f" there are {', '.join(bench_scenarios.SCENARIOS)}")
    args.peers = args.only_peers.split(",")
    if set(args.peers) - set(PEERS):
        parser.error(f"--only-peers knows {','.join(PEERS)}")
    if args.quick:
        args.pairs, args.seconds = 1, 5
    return args


def measure(args, store):
    """Runs the tables; after each the files are whole. True when every target was met."""
    good = True
    command = shlex.join(["tests/bench/run.py", *sys.argv[1:]])
    wanted = args.scenario or list(bench_scenarios.SCENARIOS)
    with bench_run.Bench(args.pairs, args.seconds, args.quick) as bench:
        for table in bench_scenarios.tables(wanted, args.latency, args.peers):
            result = bench_run.run_table(bench, table)
            result |= {"command": command, "when": time.strftime("%Y-%m-%d %H:%M")}
            store["tables"][table.key] = bench_report.finish(result, table)
            save(args, store)
            print("\n" + bench_report.section(table.key, result), flush=True)
            good = good and all(check["verdict"] in ("ok", "no target") for check in result["checks"])
    return good


def save(args, store):
    if args.json:
        bench_report.write(args.json, json.dumps(store, indent=1))
    if args.markdown:
        bench_report.write(args.markdown, bench_report.document(store))


def main():
    args = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped
    store = bench_report.load_store(args.json) if args.json else {"machine": {}, "tables": {}}
    if args.report:
        print(bench_report.document(store))
        save(args, store)
        return
    store["machine"] = bench_report.machine(bench_servers.versions())
    print(f"`{shlex.join(sys.argv)}`, {harness.BIN_DIR}")
    print("; ".join(f"{key}: {value}" for key, value in store["machine"].items()), flush=True)
    sys.exit(0 if measure(args, store) else 1)


if __name__ == "__main__":
    main()
