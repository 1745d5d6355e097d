"""What the programs of this folder share: where to find the rest, tables, JSON."""

import json
import os
import platform
import shlex
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
os.environ.setdefault("HEADWATER_BIN_DIR", os.path.join(ROOT, ".build", "release", "bin"))
sys.path[1:1] = [os.path.join(ROOT, "tests", "integration"), os.path.join(ROOT, "tests", "bench")]

import bench_proc
import bench_report
import harness
from bench_report import percentile


def begin():
    """The head of every report."""
    print(f"`{shlex.join(sys.argv)}` on {os.cpu_count()} cores, kernel {platform.release()}, {harness.BIN_DIR}\n")


def verdict(value, limit, at_least=False):
    if limit is None:
        return "no target"
    return "ok" if (value >= limit if at_least else value <= limit) else "MISSED"


def spread_ms(seconds):
    """p50, p99 and the longest of these, in ms."""
    return {"p50": 1000 * percentile(seconds, 50), "p99": 1000 * percentile(seconds, 99),
            "max": 1000 * max(seconds), "n": len(seconds)}


def ask(address, paths_file, rate, seconds, cores, connections=16, depth=8):
    """What `headwater-tool ask` says; rate 0: as many as are answered, depth of them under way on each connection."""
    argv = [os.path.join(harness.BIN_DIR, "headwater-tool"), "ask", "--to", f"http://{address}", "--paths", paths_file,
            "--connections", str(connections), "--depth", str(depth), "--rate", str(rate), "--seconds", str(seconds)]
    with bench_proc.pinned(cores):
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True)
    figures = json.loads(done.stdout)
    if done.returncode != 0 or figures["skipped"]:
        raise AssertionError(f"{argv}: {figures}")
    return figures


def show(head, rows):
    print(bench_report.markdown_table(head, rows) + "\n", flush=True)


def finish(found, json_path, good):
    """Writes what was found and ends the program."""
    if json_path:
        bench_report.write(json_path, json.dumps(found, indent=1))
    sys.exit(0 if good else 1)
