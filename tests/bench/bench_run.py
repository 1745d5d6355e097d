"""Rows and rounds: a row is one server under one load; a round runs each row of a table once."""

import contextlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from typing import Callable

import bench_load
import bench_media
import bench_proc
from bench_load import Load
from bench_servers import Headwater

ATTEMPTS = 3  # a run that does not count is repeated; then the round goes without it
TRACED_VIEWERS = 100  # strace slows a server down; sends per viewer do not depend on their number


class Invalid(Exception):
    """The run does not count, and why."""


@dataclass(frozen=True)
class Row:
    name: str
    peer: str  # headwater, floor, nginx
    run: Callable  # (bench) -> flat dict of figures; Invalid when it does not count
    trace: Callable | None = None  # (bench) -> sends per viewer and second


@dataclass(frozen=True)
class Check:
    """figure of row, or its ratio to that of ref (or ref's ref_figure) in the same round, against a limit
    (None: no target)."""
    what: str
    row: str
    figure: str
    limit: float | None = None
    ref: str | None = None
    unit: str = ""
    ref_figure: str | None = None
    minus: bool = False  # the difference to ref, not the ratio
    equal: bool = False  # the ratio must be 1 +- limit


@dataclass(frozen=True)
class Table:
    key: str
    title: str
    rows: tuple
    checks: tuple
    max_pairs: int | None = None  # where more rounds would tell nothing new
    note: str = ""


class Bench:
    """Where and how it is measured. Context manager: owns the folder of logs."""

    def __init__(self, pairs=9, seconds=20, quick=False):
        self.pairs, self.seconds, self.quick = pairs, seconds, quick
        self.warmup = 1 if quick else 2
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise SystemExit("run.py needs two cores: one for the server, one for the load")
        self.load_cores, self.server_cores = {cores[0]}, {cores[-1]}
        self.all_cores = {cores[0], cores[-1]}
        self.keep_folder = False

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="headwater-bench-")
        os.chmod(self.folder, 0o755)  # nginx's worker looks into it
        bench_proc.raise_descriptor_limit()
        os.sched_setaffinity(0, self.load_cores)  # the harness itself stays away from the server
        return self

    def __exit__(self, kind, *_):
        os.sched_setaffinity(0, self.all_cores)
        if kind or self.keep_folder:
            print(f"logs: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def load(self, args, cores=None, nice=0):
        return Load(args, self.folder, cores or self.load_cores, nice)

    def floor_media(self, name):
        """What floor programs send: the clip as Headwater's viewers get it."""
        path = bench_media.as_played_path(name, self.folder)
        if not os.path.exists(path):
            with Headwater(self, latency="realtime") as node:
                bench_media.record(name, self.folder, node)
        return path


def windowed(bench, load_args, pid, cores, load_cores=None, seconds=None):
    """Runs a load to the end of its window. Returns figures of the process (None: of the load alone) in
    the window; memory is read while the load still holds its connections."""
    seconds = seconds or bench.seconds
    args = [*load_args, "--warmup", bench.warmup, "--seconds", seconds]
    softirqs = bench_proc.softirq_tasks(cores)
    with bench.load(args, load_cores) as load:
        load.wait_begin()
        before = pid and bench_proc.Snapshot(pid, softirqs)
        report = load.report(seconds + 30)
        after = pid and bench_proc.Snapshot(pid, softirqs)
        figures = bench_load.figures(report)
        if pid:
            figures |= bench_proc.window(before, after)
            if figures.get("kbps"):
                figures["cpu_per_mbps"] = 1000 * figures["cpu"] / figures["kbps"] / figures["viewers"]
            figures |= {"pss_kib": bench_proc.memory_kib(pid),
                        "private_kib": bench_proc.memory_kib(pid, "Private_")}
    reasons = bench_load.faults(report)
    if reasons:
        raise Invalid("; ".join(reasons))
    return figures


def plain(name, server, load_args, traced=None, flush_ms=0):
    """A row: server(bench) under load_args(bench, server). traced: load_args for the pass with strace."""
    def run(bench):
        with server(bench) as running:
            return windowed(bench, load_args(bench, running), running.pid, running.cores)

    def trace(bench):
        # a hundred flushes, so that one more or less is a percent
        seconds = 5 if bench.quick else max(5, flush_ms * 0.1)
        with server(bench) as running:
            args = [*traced(bench, running), "--warmup", 1, "--seconds", seconds + 3]
            with bench.load(args) as load:
                load.wait_begin()
                tracer = bench_proc.Tracer(running.pid, os.path.join(bench.folder, "strace.txt"))
                time.sleep(seconds)
                calls, took_s = tracer.stop()
        return calls / took_s / TRACED_VIEWERS

    return Row(name, getattr(server, "peer", "headwater"), run, trace if traced else None)


@contextlib.contextmanager
def publishing(bench, server, stream, players=0, media="200k"):
    """A stream that runs, with its GOP cache full, from a load of its own until the end."""
    args = ["--publish", server.url("rtmp", stream), "--flv", bench_media.clip(media)]
    if players:
        args += ["--play", server.url("http", stream), "--players", players]
    with bench.load([*args, "--seconds", 0]) as load:
        time.sleep(4)  # two GOPs
        if load.popen.poll() is not None:
            raise Invalid(f"the publisher ended: {load.log()}")
        yield load


def attempt(bench, table, row, number, invalid):
    """Figures of one run that counts, or None."""
    for _ in range(ATTEMPTS):
        try:
            return row.run(bench)
        except (Invalid, AssertionError, OSError) as reason:
            invalid.append({"row": row.name, "round": number, "why": str(reason)[:500]})
            bench.keep_folder = True
            print(f"  {table.key}: {row.name}: does not count: {str(reason)[:300]}", flush=True)
    return None


def trace(bench, table, invalid):
    """{row: sends per viewer and second} of the rows that are traced."""
    found = {}
    for row in table.rows:
        if row.trace:
            try:
                found[row.name] = row.trace(bench)
            except (Invalid, AssertionError, OSError) as reason:
                invalid.append({"row": row.name, "round": "strace", "why": str(reason)[:500]})
    return found


def run_table(bench, table):
    """All rounds. Returns {"rounds": [{row: figures}], "invalid": [...], "pairs": n}."""
    rounds, invalid = [], []
    n_rounds = min(bench.pairs, table.max_pairs or bench.pairs)
    traces = trace(bench, table, invalid)
    for number in range(1, n_rounds + 1):
        one = {}
        for row in table.rows if number % 2 else reversed(table.rows):  # a drift hits all alike
            figures = attempt(bench, table, row, number, invalid)
            if figures is not None:
                if row.name in traces:
                    figures["sends"] = traces[row.name]
                one[row.name] = figures
                print(f"  {table.key} {number}/{n_rounds}: {row.name}: {summary(figures)}", flush=True)
        rounds.append(one)
    return {"title": table.title, "note": table.note, "pairs": n_rounds, "seconds": bench.seconds,
            "rounds": rounds, "invalid": invalid}


def summary(figures):
    keys = (("cpu", "%"), ("video_p99", "ms"), ("first_key_p99", "ms"), ("kib_each", "KiB"))
    return ", ".join(f"{key} {figures[key]:.2f} {unit}" for key, unit in keys if key in figures) or "done"
