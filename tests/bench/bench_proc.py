"""What the operating system says of a process: CPU by thread, memory, context switches, system calls."""

import contextlib
import os
import re
import resource
import signal
import subprocess
import time

import harness

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
SENDS = ("send", "sendto", "sendmsg", "sendmmsg", "write", "writev")


def read(path):
    with open(path) as file:
        return file.read()


@contextlib.contextmanager
def pinned(cores):
    """What is started inside runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_descriptor_limit(wanted=1 << 17):
    """For this process and all it starts. Returns the limit there is now."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def run_ns(task):
    """Time on a core, from the folder of a process's or thread's task in /proc."""
    return int(read(f"{task}/schedstat").split()[0])


def softirq_tasks(cores):
    """Folders of the kernel threads that do a core's network work when it piles up."""
    tasks = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if read(f"/proc/{pid}/comm").strip() in {f"ksoftirqd/{core}" for core in cores}:
                tasks.append(f"/proc/{pid}")
    return tasks


def memory_kib(pid, key="Pss"):
    """Sum of the rows of smaps_rollup that begin with key: Pss, or Private for what is its own."""
    rows = re.findall(rf"^{key}\w*: +(\d+) kB", read(f"/proc/{pid}/smaps_rollup"), re.M)
    return sum(map(int, rows)) if key == "Private_" else int(rows[0])


class Snapshot:
    """Counters of a process and of the network threads of its cores, at one moment."""

    def __init__(self, pid, softirqs):
        self.at = time.monotonic()
        self.threads, self.n_switches = {}, 0  # (thread id, name) -> ns
        for tid in os.listdir(f"/proc/{pid}/task"):
            task = f"/proc/{pid}/task/{tid}"
            with contextlib.suppress(OSError):  # a thread may end meanwhile
                self.threads[tid, read(f"{task}/comm").strip()] = run_ns(task)
                self.n_switches += sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", read(f"{task}/status"))))
        self.softirq_ns = sum(run_ns(task) for task in softirqs)
        fields = read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
        self.user, self.system = int(fields[11]), int(fields[12])


def window(before, after):
    """Figures between two snapshots. CPU is in % of one core; user is the process's share in user
    space by the kernel's ticks (the only source there is), put on the exact sum."""
    took_ns = (after.at - before.at) * 1e9
    threads = {f"{name} {tid}": 100 * (ns - before.threads.get((tid, name), 0)) / took_ns
               for (tid, name), ns in after.threads.items()}
    process = sum(threads.values())
    softirq = 100 * (after.softirq_ns - before.softirq_ns) / took_ns
    ticks = after.user - before.user, after.system - before.system
    share = 100 * ticks[0] / sum(ticks) if sum(ticks) else 0.0
    return {"cpu": process + softirq, "process": process, "softirq": softirq, "user_share": share,
            "user": process * share / 100, "switches": (after.n_switches - before.n_switches) * 1e9 / took_ns,
            "n_threads": len(after.threads), "threads": threads}


class Tracer:
    """strace that counts system calls of a process."""

    def __init__(self, pid, out_path):
        self.out_path = out_path
        self.popen = subprocess.Popen(
            [harness.tool("strace"), "-f", "-c", "-S", "calls", "-U", "calls,name", "-o", out_path, "-e",
             "trace=" + ",".join(SENDS), "-p", str(pid)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while "attached" not in (line := self.popen.stderr.readline()):
            if not line:
                raise AssertionError(f"strace ended with {self.popen.wait()}")
        self.began = time.monotonic()

    def stop(self):
        """Returns (calls that send, seconds)."""
        took_s = time.monotonic() - self.began
        self.popen.send_signal(signal.SIGINT)
        self.popen.communicate(timeout=20)
        rows = re.findall(r"^\s*(\d+)\s+(\w+)$", read(self.out_path), re.M)
        return sum(int(calls) for calls, name in rows if name in SENDS), took_s
