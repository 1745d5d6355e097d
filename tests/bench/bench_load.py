"""headwater-tool load as a child process: its window, its report, and whether the run counts."""

import json
import os
import select
import subprocess
import time

import bench_proc
import harness


class Load:
    """Context manager. args are those of `headwater-tool load`, without --json, --quiet and --hold."""

    def __init__(self, args, folder, cores=(0,), nice=0):
        self.name = f"load-{time.monotonic_ns()}"
        self.json_path = os.path.join(folder, f"{self.name}.json")
        self.log_path = os.path.join(folder, f"{self.name}.log")
        self.argv = [os.path.join(harness.BIN_DIR, "headwater-tool"), "load", *map(str, args), "--json",
                     self.json_path, "--hold", "--quiet"]
        self.cores, self.nice, self.text = set(cores), nice, b""

    def __enter__(self):
        if not os.path.exists(self.argv[0]):
            raise AssertionError(f"{self.argv[0]} does not exist; set HEADWATER_BIN_DIR")
        with open(self.log_path, "wb") as log, bench_proc.pinned(self.cores):
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                          start_new_session=True)
        if self.nice:
            os.setpriority(os.PRIO_PROCESS, self.popen.pid, self.nice)
        return self

    def __exit__(self, *_):
        self.close()

    def close(self, timeout_s=30):
        """Lets it go; returns its exit code."""
        if self.popen.stdin and not self.popen.stdin.closed:
            self.popen.stdin.close()
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()
        finally:
            self.popen.stdout.close()

    def log(self):
        return bench_proc.read(self.log_path)[-2000:]

    def wait(self, line, timeout_s):
        """Until it has printed the line."""
        deadline = time.monotonic() + timeout_s
        while line.encode() not in self.text:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([self.popen.stdout], [], [], left_s)[0]:
                raise AssertionError(f"load: no \"{line}\" within {timeout_s:.0f} s; {self.log()}")
            got = os.read(self.popen.stdout.fileno(), 65536)
            if not got:
                raise AssertionError(f"load ended with {self.popen.wait()}: {self.log()}")
            self.text += got

    def wait_begin(self, timeout_s=90):
        self.wait("window begin", timeout_s)

    def report(self, timeout_s):
        """Waits for the end of the window; the connections are still there."""
        self.wait("window end", timeout_s)
        with open(self.json_path) as file:
            report = json.load(file)
        if "--no-stamp" in self.argv:  # stamps of media that was recorded say nothing
            for group in report["players"]:
                group["latency_ms"] = {"video": None, "audio": None}
        return report


def faults(report):
    """Why a run does not count; empty when it does. Slow players may stall and be cut off."""
    found = []
    publishers = report.get("publishers") or {}
    if publishers.get("connected", 0) < publishers.get("asked", 0) or publishers.get("lost"):
        found.append(f"{publishers.get('connected')} of {publishers['asked']} publishers,"
                     f" {publishers.get('lost')} lost")
    for group in report.get("players", []):
        if group.get("slow_bps"):
            continue
        if group["playing"] < group["asked"]:
            found.append(f"{group['playing']} of {group['asked']} viewers play")
        found += [f"{key} {group[key]}" for key in ("lost", "refused", "stalls", "backward") if group.get(key)]
    if report["load"]["bottleneck"]:
        found.append(f"the load was the bottleneck: {report['load'].get('why')}")
    return found


def good_group(report):
    return next((group for group in report.get("players", []) if not group.get("slow_bps")), None)


def figures(report):
    """Flat figures of the players that are not slow, and of the load itself. Times are in ms."""
    flat = {"load_cpu": 100 * report["load"]["cpu"]}
    group = good_group(report)
    if not group:
        return flat
    viewer_s = max(1, group["playing"]) * report["seconds"]
    flat["viewers"] = group["playing"]
    flat["reads"] = group["reads"] / viewer_s
    flat["frames"] = group["frames"] / viewer_s
    flat["kbps"] = group["bytes"] * 8 / 1000 / viewer_s
    kinds = {"video": group["latency_ms"]["video"], "audio": group["latency_ms"]["audio"],
             "first_key": group["first_key_ms"], "first_byte": group["first_byte_ms"]}
    for kind, quantiles in kinds.items():
        for key in ("p50", "p99"):
            if quantiles and quantiles.get("n") and quantiles.get(key) is not None:
                flat[f"{kind}_{key}"] = quantiles[key]
    return flat
