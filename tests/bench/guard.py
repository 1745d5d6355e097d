#!/usr/bin/python3
"""The regression guard: instructions that a node spends per frame and per viewer, counted by callgrind
and compared with guard.json. Unlike times, counts do not depend on the machine's load: a node is fed one
frame at a time and gets the next one when all have the last, so every frame is one read, one mux and one
send a viewer. What the kernel does is not counted. Needs a release build. --record is for a change that
saves instructions, and for one whose cost is wanted: the new guard.json is part of that change."""

import argparse
import contextlib
import ctypes
import json
import os
import platform
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
os.environ.setdefault("HEADWATER_BIN_DIR", os.path.join(ROOT, ".build", "release", "bin"))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import harness
import rtmp
import swarm
from flv import AUDIO, VIDEO

COMMITTED = os.path.join(HERE, "guard.json")
STREAM = "live/guard"
N_VIEWERS, N_JOINS = 40, 40
WAIT_S, RUN_S = 20, 100  # for one step, for all
N_TRIES = 3
CONFIG = {"loops": 1, "latency": "realtime", "rtmp.listen": "127.0.0.1:0", "http.listen": "127.0.0.1:0",
          "admin.listen": "", "drain_timeout_s": 0,
          "max_lag_ms": 100}  # frames come faster than in life: pages are to be reused all the same
# libc has a memcpy() for every family of processors, and each takes another number of instructions.
PLAIN_LIBC = "glibc.cpu.hwcaps=" + ",".join(f"-{feature}" for feature in (
    "AVX", "AVX2", "AVX512F", "AVX512VL", "AVX512BW", "EVEX", "ERMS", "FSRM", "SSSE3", "SSE4_1", "SSE4_2",
    "BMI2", "AVX_Fast_Unaligned_Load", "Fast_Unaligned_Copy"))


def nal(first, size):
    """A NAL unit behind its length."""
    return struct.pack(">IB", size - 4, first) + bytes(size - 5)


HEADERS = [(VIDEO, bytes.fromhex("17000000000142c00bffe100096742c00bda02c4e80001000468ce3c80")),
           (AUDIO, bytes.fromhex("af001210"))]
# What 200 kbit/s look like: a GOP of 2 s with 50 pictures, the first large, and 86 AAC frames.
KEY, INTER, SOUND = (b"\x17\1\0\0\0" + nal(0x65, 6000), b"\x27\1\0\0\0" + nal(0x41, 900),
                     b"\xaf\1" + bytes(180))
GOP_MS = 2000
GOP = sorted([(i * 40, VIDEO, INTER if i else KEY) for i in range(50)] +
             [(i * 23 + 1, AUDIO, SOUND) for i in range(86)])
N_GOPS = 8  # a phase
N_FRAMES = N_GOPS * len(GOP)

# Figure: what it says, tolerance, and its sum over phases (Guard.measure() names them).
FRAME, SEND, JOIN = 1 / N_FRAMES, 1 / N_FRAMES / N_VIEWERS, 1 / N_JOINS
FIGURES = {
    "ingest_frame": ("a frame, nobody watching", 0.03, {"ingest": FRAME}),
    "relay_frame_flv": ("more a frame with one HTTP-FLV viewer", 0.03, {"flv one": FRAME, "ingest": -FRAME}),
    "relay_frame_rtmp": ("more a frame with one RTMP viewer", 0.03, {"rtmp one": FRAME, "ingest": -FRAME}),
    "viewer_send_flv": ("more a frame and further HTTP-FLV viewer", 0.03, {"flv many": SEND, "flv one": -SEND}),
    "viewer_send_rtmp": ("more a frame and further RTMP viewer", 0.03, {"rtmp many": SEND, "rtmp one": -SEND}),
    "viewer_join_flv": ("a further HTTP-FLV viewer comes and goes", 0.05, {"flv joins": JOIN}),
    "viewer_join_rtmp": ("a further RTMP viewer comes and goes", 0.05, {"rtmp joins": JOIN}),
}
# Calls in 1,000 frames with many viewers. Entry points have init data of their own and need a buffer to
# mux it, and a pool whose last use is long ago has to be filled again; a frame must need none.
ALLOCATORS = ("malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign")
MAX_MALLOCS = 40


class Phase:
    """Counts between two dumps: instructions, seconds it took, functions' own and inclusive
    instructions, and the calls (caller, callee) -> n."""

    NAMED = re.compile(r"\((\d+)\)(?: (.*))?$")  # a name is written once, then only its number

    def __init__(self, path, seconds):
        self.seconds, self.instructions = seconds, 0
        self.own, self.inclusive, self.calls = Counter(), Counter(), Counter()
        names = {}
        caller = callee = n_calls = None
        with open(path) as file:
            for line in file:
                key, _, value = line.rstrip("\n").partition("=")
                if key == "fn":
                    caller = self._name(value, names)
                elif key == "cfn":
                    callee = self._name(value, names)
                elif key == "calls":
                    n_calls = int(value.split()[0])
                elif line[0] in "0123456789+-*":  # position and cost, of the call when one was named
                    self._cost(int(line.split()[1]), caller, callee, n_calls)
                    n_calls = None
        self.instructions = sum(self.own.values())

    def _name(self, text, names):
        number, name = self.NAMED.match(text).groups()
        return names.setdefault(number, name)

    def _cost(self, cost, caller, callee, n_calls):
        if n_calls is None:
            self.own[caller] += cost
        else:
            self.calls[caller, callee] += n_calls
        if n_calls is None or caller != callee:
            self.inclusive[caller] += cost

    def n_reads(self):
        return sum(n for (_, callee), n in self.calls.items() if callee == "recv")

    def allocations(self):
        """(caller, allocator) -> calls; what an allocator asks of another one is one call."""
        return {pair: n for pair, n in self.calls.items() if pair[1] in ALLOCATORS and pair[0] not in ALLOCATORS}


class CountedNode:
    """Context manager: a node under callgrind. count() ends a phase and begins the next one."""

    def __init__(self, folder):
        self.folder, self.n_dumps = folder, 0
        self.prefix = f"--vgdb-prefix={folder}/vgdb"

    def __enter__(self):
        program = os.path.join(harness.BIN_DIR, "headwater-node")
        sets = [word for key, value in CONFIG.items() for word in ("--set", f"{key}={value}")]
        # Polled for dumps: waking it up from outside takes rights that a container may not have.
        argv = [harness.tool("valgrind"), "--tool=callgrind", self.prefix, "--vgdb-poll=500",
                f"--callgrind-out-file={self.folder}/count", program, *sets]
        self.process = harness.Process("node", argv, self.folder, {"GLIBC_TUNABLES": PLAIN_LIBC})
        try:
            ready = self.process.wait_ready()
        except BaseException:
            self.process.kill()
            raise
        self.rtmp, self.http = harness.parse_address(ready["rtmp"]), harness.parse_address(ready["http"])
        self.began = time.monotonic()
        return self

    def __exit__(self, kind, *_):
        problems = self.process.problems(self.process.stop())
        if kind or problems:
            print(self.process.tail(), file=sys.stderr)
        if problems and not kind:
            raise AssertionError("; ".join(problems))

    def count(self):
        done = subprocess.run([harness.tool("vgdb"), self.prefix, "--max-invoke-ms=0", f"--pid={self.process.pid}",
                               "dump"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              stdin=subprocess.DEVNULL, timeout=WAIT_S, check=False)
        if done.returncode:
            raise AssertionError(f"vgdb: exit {done.returncode}: {done.stdout}")
        self.n_dumps += 1
        began, self.began = self.began, time.monotonic()
        return Phase(f"{self.folder}/count.{self.n_dumps}", self.began - began)

    def n_sockets(self):
        """Sockets only: valgrind has descriptors of its own that come and go."""
        folder, n_sockets = f"/proc/{self.process.pid}/fd", 0
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                n_sockets += os.readlink(f"{folder}/{name}").startswith("socket:")
        return n_sockets


class PeerSocket:
    """What the kernel says of the other end of a connection on 127.0.0.1: sock_diag(7), one socket a
    question."""

    ADDRESS = socket.inet_aton("127.0.0.1") + bytes(12)
    NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST = 4, 20, 1
    INET_DIAG_INFO = 2
    RQUEUE_AT = 16 + 4 + 48 + 4  # nlmsghdr; of inet_diag_msg: family to retrans, socket, expires
    ATTRIBUTES_AT = RQUEUE_AT + 4 * 4
    BYTES_RECEIVED_AT = 128  # in tcp_info

    def __init__(self, port, peer_port):
        ids = struct.pack(">HH", port, peer_port) + self.ADDRESS * 2 + struct.pack("=III", 0, ~0 & 0xFFFFFFFF,
                                                                                   ~0 & 0xFFFFFFFF)
        body = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 1 << (self.INET_DIAG_INFO - 1),
                           ~0 & 0xFFFFFFFF) + ids
        self.request = struct.pack("=IHHII", 16 + len(body), self.SOCK_DIAG_BY_FAMILY, self.NLM_F_REQUEST, 0,
                                   0) + body
        self.netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, self.NETLINK_SOCK_DIAG)

    def read_bytes(self):
        """How many bytes the process at the other end has read so far. Its queue alone says too little: what
        was sent is not always in it when send() returns, and the next frame would be read with this one."""
        self.netlink.send(self.request)
        answer = self.netlink.recv(8192)
        if struct.unpack_from("=H", answer, 4)[0] != self.SOCK_DIAG_BY_FAMILY:
            raise AssertionError("sock_diag: the publisher's connection is gone")
        n_unread = struct.unpack_from("=I", answer, self.RQUEUE_AT)[0]
        return struct.unpack_from("=Q", answer, self._info_at(answer) + self.BYTES_RECEIVED_AT)[0] - n_unread

    def _info_at(self, answer):
        at = self.ATTRIBUTES_AT
        while at < len(answer):
            size, kind = struct.unpack_from("=HH", answer, at)
            if kind == self.INET_DIAG_INFO:
                return at + 4
            at += max(4, (size + 3) & ~3)
        raise AssertionError("sock_diag: no tcp_info of the publisher's connection")

    def close(self):
        self.netlink.close()


class StepPublisher(swarm.RtmpConn):
    """Sends what it is told, when it is told."""

    def __init__(self, flock, address):
        super().__init__(flock, address, "publish", STREAM)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def put(self, kind, ts_ms, body):
        """Returns how many bytes that is."""
        message = rtmp.message(kind, ts_ms, self.session.stream_id, body, 4 if kind == AUDIO else 6)
        self.out += message
        self.send_now()
        return len(message)


class Guard:
    """Leads a node through the phases."""

    def __init__(self, node, flock):
        self.node, self.flock = node, flock
        self.ts_ms, self.n_put, self.viewers = 0, 0, []
        self.play = {"flv": lambda: flock.play_flv(node.http, STREAM),
                     "rtmp": lambda: flock.play_rtmp(node.rtmp, STREAM)}

    def measure(self):
        """Returns {name of the phase: Phase}."""
        phases = {}
        self.publisher = StepPublisher(self.flock, self.node.rtmp)
        self.flock.until(lambda: self.publisher.is_running, WAIT_S, "the stream is published")
        with contextlib.closing(PeerSocket(self.node.rtmp[1], self.publisher.local_port)) as self.node_end:
            self.n_put = self.node_end.read_bytes()
            for kind, body in HEADERS:
                self.n_put += self.publisher.put(kind, 0, body)
            phases["ingest"] = self.count_frames()
            for kind in self.play:
                phases.update(self.measure_kind(kind))
        time.sleep(0.2)
        self.node.count()
        time.sleep(1)
        phases["idle"] = self.node.count()
        return phases

    def measure_kind(self, kind):
        phases = {}
        self.viewers = [self.join(kind)]
        phases[f"{kind} one"] = self.count_frames()
        for _ in range(N_JOINS):  # one at a time: the node does the same for each
            self.leave([self.join(kind)])
        phases[f"{kind} joins"] = self.node.count()
        self.viewers += [self.join(kind) for _ in range(N_VIEWERS)]
        phases[f"{kind} many"] = self.count_frames()
        gone, self.viewers = self.viewers, []
        self.leave(gone)
        return phases

    def count_frames(self):
        """Counts again when frames were read together: that is fewer instructions, and chance."""
        for _ in range(N_TRIES):
            self.send_gops(1)  # what happens once has happened
            self.node.count()
            self.send_gops(N_GOPS)
            phase = self.node.count()
            if phase.n_reads() == N_FRAMES:
                return phase
        raise AssertionError(f"{phase.n_reads()} reads of {N_FRAMES} frames: each was to be one read")

    def send_gops(self, n_gops):
        for _ in range(n_gops):
            for at_ms, kind, body in GOP:
                self.n_put += self.publisher.put(kind, self.ts_ms + at_ms, body)
                self.wait_frame(kind, self.ts_ms + at_ms)
            self.ts_ms += GOP_MS

    def wait_frame(self, kind, ts_ms):
        """Until the node has read the frame, and all viewers have it."""
        self.flock.until(lambda: all(v.log.last_of.get(kind) == ts_ms for v in self.viewers), WAIT_S,
                         "all viewers have the frame")
        harness.wait_until(lambda: self.node_end.read_bytes() >= self.n_put, WAIT_S, "the node has read the frame",
                           step_s=0)

    def join(self, kind):
        """Returns a viewer that has all of the last GOP."""
        viewer = self.play[kind]()
        self.flock.until(lambda: viewer.log.n_frames == len(GOP), WAIT_S, f"a viewer by {kind} has the GOP")
        return viewer

    def leave(self, viewers):
        n_wanted = self.node.n_sockets() - len(viewers)
        for viewer in viewers:
            viewer.close()
        harness.wait_until(lambda: self.node.n_sockets() == n_wanted, WAIT_S, "the node let viewers go",
                           step_s=0.001)


def combine(sums, of):
    """The weighted sum of of(phase name) over the phases of a figure."""
    return sum(weight * of(name) for name, weight in sums.items())


def figures_of(phases):
    """Figures as the table says, less what the node does anyhow as time goes by."""
    idle_rate = phases["idle"].instructions / phases["idle"].seconds

    def net(name):
        return phases[name].instructions - idle_rate * phases[name].seconds
    return {name: round(combine(sums, net), 1) for name, (_, _, sums) in FIGURES.items()}


def mallocs_of(phases):
    """Returns ({kind: calls in 1,000 frames}, {caller and allocator: calls}) with many viewers."""
    found, callers = {}, Counter()
    for kind in ("flv", "rtmp"):
        calls = phases[f"{kind} many"].allocations()
        found[kind] = round(sum(calls.values()) * 1000 / N_FRAMES, 1)
        callers.update(calls)
    return found, callers


def made_with():
    """What else decides how many instructions there are."""
    path = os.path.join(harness.BIN_DIR, "headwater-node")
    if not os.path.exists(path):
        raise AssertionError(f"{path} does not exist: deploy/up.sh --build-only, or set HEADWATER_BIN_DIR")
    with open(path, "rb") as file:
        program = file.read()
    if b"__asan_init" in program or b"__tsan_init" in program:
        raise AssertionError(f"{harness.BIN_DIR} has a sanitizer build; the guard needs a release build")
    compiler = re.search(rb"(clang version|GCC: \([^)]*\)) ([\d.]+)", program)
    libc = ctypes.CDLL(None).gnu_get_libc_version
    libc.restype = ctypes.c_char_p
    valgrind = subprocess.run([harness.tool("valgrind"), "--version"], stdout=subprocess.PIPE, text=True, check=True)
    return {"valgrind": valgrind.stdout.strip(),
            "compiler": b" ".join(compiler.groups()).decode() if compiler else "unknown",
            "libc": libc().decode(), "processor": platform.machine()}


def major(versions):
    """What of the versions must be the same for figures to be comparable."""
    compiler = re.sub(r" \([^)]*\)|\.[\d.]+$", "", versions["compiler"])  # "GCC: 12"
    return compiler, versions["libc"], versions["processor"]


def table(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1])]
        print("  ".join(cells + [row[-1]]))


def compare(figures, committed, slack):
    """Prints the table; returns the names of figures that are too high, and of those clearly lower."""
    rows, worse, better = [("instructions", "committed", "now", "change", "allowed", "")], [], []
    for name, (what, tolerance, _) in FIGURES.items():
        was, now = committed.get(name), figures[name]
        if was is None:
            rows.append((name, "-", f"{now:.1f}", "-", "-", f"{what}: NOT RECORDED"))
            worse.append(name)
            continue
        change, allowed = now / was - 1, tolerance * slack
        if change > allowed:
            worse.append(name)
        elif change < -allowed:
            better.append(name)
        verdict = ": TOO MANY" if name in worse else ": fewer" if name in better else ""
        rows.append((name, f"{was:.1f}", f"{now:.1f}", f"{change:+.1%}", f"+{allowed:.0%}", what + verdict))
    table(rows)
    return worse, better


def print_mallocs(mallocs, callers):
    per_1000 = ", ".join(f"{n} by {kind}" for kind, n in mallocs.items())
    print(f"\nmallocs per 1,000 frames with {N_VIEWERS + 1} viewers: {per_1000} (at most {MAX_MALLOCS})")
    for (caller, callee), n in callers.most_common(10):
        print(f"  {n} {callee} by {caller} in {2 * N_FRAMES} frames")


def print_profile(phases, n_functions):
    for name, (what, _, sums) in FIGURES.items():
        inclusive = {f: combine(sums, lambda p, f=f: phases[p].inclusive[f])
                     for f in set().union(*(phases[p].inclusive for p in sums))}
        own = {f: combine(sums, lambda p, f=f: phases[p].own[f]) for f in inclusive}
        at_least = 0.005 * sum(own.values())  # functions that only call others say nothing
        print(f"\n{name}: {what}; inclusive, own")
        for function in sorted((f for f in own if own[f] >= at_least), key=inclusive.get,
                               reverse=True)[:n_functions]:
            print(f"  {inclusive[function]:9.1f} {own[function]:9.1f}  {function}")


def judge(figures, mallocs, callers, versions):
    """Prints all; returns the exit code."""
    with open(COMMITTED) as file:
        committed = json.load(file)
    for what, now in versions.items():
        was = committed["made_with"][what]
        print(f"{what}: {now}" + (f" (recorded with {was})" if was != now else ""))
    slack = 1
    if major(versions) != major(committed["made_with"]):
        slack = 2
        print("another compiler, libc or processor than recorded: tolerances are doubled")
    worse, better = compare(figures, committed["figures"], slack)
    print_mallocs(mallocs, callers)
    if better and slack == 1:
        print(f"\nfewer than committed: {', '.join(better)}. Record it: tests/bench/guard.py --record")
    worse += [f"mallocs by {kind}" for kind, n in mallocs.items() if n > MAX_MALLOCS]
    if worse:
        print(f"\nFAILED: {', '.join(worse)}. --profile names the functions. Where the cost is wanted: --record")
    return 1 if worse else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write guard.json instead of comparing with it")
    parser.add_argument("--profile", metavar="N", type=int, nargs="?", const=15, default=0,
                        help="also the N most expensive functions of each figure (15)")
    parser.add_argument("--json", metavar="FILE", help="also write what was found")
    return parser.parse_args()


def give_up(number, _):
    raise AssertionError(f"ended by {signal.Signals(number).name}; a run may take {RUN_S} s")


def main():
    args = parse()
    for number in (signal.SIGALRM, signal.SIGTERM):  # the node is ended whatever happens
        signal.signal(number, give_up)
    signal.alarm(RUN_S)
    versions = made_with()
    folder = tempfile.mkdtemp(prefix="headwater-guard-")
    try:
        with CountedNode(folder) as node, swarm.Swarm() as flock:
            phases = Guard(node, flock).measure()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures, (mallocs, callers) = figures_of(phases), mallocs_of(phases)
    found = {"figures": figures, "mallocs_per_1000_frames": mallocs, "made_with": versions}
    if args.profile:
        print_profile(phases, args.profile)
    for path in [args.json] * bool(args.json) + [COMMITTED] * args.record:
        with open(path, "w") as file:
            json.dump(found, file, indent=2)
            file.write("\n")
    if args.record:
        print_mallocs(mallocs, callers)
        print(f"recorded in {COMMITTED}: {json.dumps(figures)}")
        return 0
    return judge(figures, mallocs, callers, versions)


if __name__ == "__main__":
    sys.exit(main())
