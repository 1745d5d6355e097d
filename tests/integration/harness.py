"""Real Headwater processes for tests: start, parse the ready line, watch, stop, and fail the test when
one crashed, did not end well, or a sanitizer spoke. Python's standard library only."""

import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Out of the environment: the programs take every HEADWATER_* in it for a configuration key.
BIN_DIR = os.environ.pop("HEADWATER_BIN_DIR", os.path.join(ROOT, ".build", "debug", "bin"))
MEDIA_DIR = os.environ.pop("HEADWATER_TEST_MEDIA", os.path.join(
    tempfile.gettempdir(), f"headwater-test-media-{os.getuid()}"))
SANITIZER_SIGNS = ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer",
                   "ERROR: LeakSanitizer", "ThreadSanitizer: data race")
READY_S, STOP_S = 20, 20
TOKEN = "integration-test-node-token"


def wait_until(condition, timeout_s=10, what=None, step_s=0.02):
    """Polls; returns the first true value of condition(). AssertionError after timeout_s."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            what = what() if callable(what) else what
            raise AssertionError(f"{what or 'condition'}: not so within {timeout_s} s (last: {value!r})")
        time.sleep(step_s)


def free_port():
    """A port nobody uses now; for programs that cannot say which one they chose."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def tool(name):
    """Path of a program the tests need; its absence is a failure, never a silent skip."""
    path = shutil.which(name)
    if not path:
        raise AssertionError(f"{name} is not installed: deploy/install-packages.sh test")
    return path


def npm_install(folder, package, *flags):
    """What the lock file of the folder names, once, although tests run side by side. package: one of them."""
    with open(os.path.join(folder, "package.json"), encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not os.path.isdir(os.path.join(folder, "node_modules", package)):
            subprocess.run([tool("npm"), "ci", "--no-audit", "--no-fund", *flags], cwd=folder, check=True)


def http_request(address, path, method="GET", headers=None, body=None, timeout_s=10, context=None):
    """Returns (status, headers as a dict with lower-case names, body). Follows nothing. context: an
    ssl.SSLContext, for https."""
    conn = (http.client.HTTPSConnection(*address, timeout=timeout_s, context=context) if context
            else http.client.HTTPConnection(*address, timeout=timeout_s))
    try:
        conn.request(method, path, body=body, headers=headers or {})
        answer = conn.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        conn.close()


def get_json(address, path, headers=None):
    status, _, body = http_request(address, path, headers=headers)
    if status != 200:
        raise AssertionError(f"GET {path}: {status} {body[:200]!r}")
    return json.loads(body)


def items(address, path, headers=None):
    """All items of a list of the people's API, page by page."""
    got, page = [], path
    while page:
        answer = get_json(address, page, headers)
        got += answer["items"]
        page = f"{path}{'&' if '?' in path else '?'}after={answer['next']}" if answer["next"] else None
    return got


def parse_address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class Listener:
    """A server made by hand: answer(peer) runs in a thread for each connection, and takes it."""

    def __init__(self, answer):
        self.answer = answer
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(peer,), daemon=True).start()

    def close(self):
        if self.socket.fileno() >= 0:
            self.socket.shutdown(socket.SHUT_RDWR)  # closing alone leaves accept() where it is
            self.socket.close()


def read_head(peer, n_bytes=4096):
    """What the peer says up to an empty line, n_bytes at a time; b"" when it leaves before."""
    head = b""
    while b"\r\n\r\n" not in head:
        got = peer.recv(n_bytes)
        if not got:
            return b""
        head += got
    return head


class Metrics:
    """What /metrics said. total("headwater_x", kind="play") adds the series that match."""

    LINE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$')
    LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

    def __init__(self, text):
        self.series = []
        for line in text.splitlines():
            match = self.LINE.match(line)
            if match:
                self.series.append((match[1], dict(self.LABEL.findall(match[2] or "")), float(match[3])))

    def total(self, name, **labels):
        return sum(value for series, has, value in self.series
                   if series == name and labels.items() <= has.items())

    def names(self):
        return {series for series, _, _ in self.series}


class Process:
    """One program with its output in a log file."""

    def __init__(self, name, argv, folder, env=None):
        self.name, self.argv = name, argv
        self.log_path = os.path.join(folder, f"{name}-{time.monotonic_ns()}.log")
        self.expect_death = False  # set by kill()
        with open(self.log_path, "wb") as log:
            self.popen = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                          env={**os.environ, **(env or {})}, start_new_session=True)

    @property
    def pid(self):
        return self.popen.pid

    def is_alive(self):
        return self.popen.poll() is None

    def log(self, start=0):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            file.seek(start)
            return file.read()

    def log_lines(self, text, start=0):
        return [line for line in self.log(start).splitlines() if text in line]

    def log_size(self):
        return os.path.getsize(self.log_path)

    def wait_log(self, text, timeout_s=10, start=0):
        def look():
            return self.log_lines(text, start) or (None if self.is_alive() else "dead")
        found = wait_until(look, timeout_s, f"{self.name}: log line with {text!r}")
        if found == "dead":
            raise AssertionError(f"{self.name} ended with {self.popen.returncode}:\n{self.tail()}")
        return found[0]

    def wait_ready(self):
        """Returns the fields of the msg=ready line."""
        line = self.wait_log(" msg=ready", READY_S)
        return dict(field.split("=", 1) for field in line.split() if "=" in field)

    def tail(self, n_lines=30):
        return "\n".join(self.log().splitlines()[-n_lines:])

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        """kill -9, on purpose."""
        self.expect_death = True
        if self.is_alive():
            self.popen.kill()
        self.popen.wait()

    def stop(self, timeout_s=STOP_S):
        """SIGTERM; SIGKILL when that takes too long. Returns the exit code."""
        if self.is_alive():
            self.popen.terminate()
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            return f"no exit within {timeout_s} s of SIGTERM"

    def problems(self, exit_code):
        """Texts on what went wrong in its life; exit_code is what stop() returned."""
        found = []
        if exit_code != 0 and not self.expect_death:
            found.append(f"{self.name}: exit {exit_code}")
        log = self.log()
        found += [f"{self.name}: {sign}" for sign in SANITIZER_SIGNS if sign in log]
        return found

    def memory_kib(self, key="Rss"):
        """Rss or Pss of the process."""
        with open(f"/proc/{self.pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(key + ":"))

    def cpu_s(self):
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sanitizer_env():
    """Every report counts: there are no suppressions."""
    return {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1",
            "TSAN_OPTIONS": "second_deadlock_stack=1"}


def program(name, sets, folder, process_name=None, extra=()):
    """Starts <BIN_DIR>/<name> with --set for each pair; lists become comma-separated."""
    argv = [os.path.join(BIN_DIR, name), *extra]
    for key, value in sets.items():
        if isinstance(value, (list, tuple)):
            value = ",".join(value)
        argv += ["--set", f"{key}={value}"]
    if not os.path.exists(argv[0]):
        raise AssertionError(f"{argv[0]} does not exist; set HEADWATER_BIN_DIR")
    return Process(process_name or name, argv, folder, sanitizer_env())


class Node(Process):
    """headwater-node; rtmp, http, rtmps, https and admin are (host, port) once it is ready; None = off."""

    def __init__(self, node_id, sets, folder):
        self.id, self.sets = node_id, sets
        started = program("headwater-node", sets, folder, node_id)
        self.__dict__.update(started.__dict__)

    def learn(self):
        ready = self.wait_ready()
        for key in ("rtmp", "http", "rtmps", "https", "admin"):
            setattr(self, key, parse_address(ready[key]) if ready.get(key, "off") != "off" else None)
        return self

    def url(self, stream, scheme="rtmp"):
        """scheme: rtmp, rtmps, http or https."""
        suffix = ".flv" if scheme.startswith("http") else ""
        return f"{scheme}://%s:%d/{stream}{suffix}" % getattr(self, scheme)

    def metrics(self):
        return Metrics(http_request(self.admin, "/metrics")[2].decode())

    def streams(self):
        return items(self.admin, "/api/v1/streams")

    def sessions(self):
        return items(self.admin, "/api/v1/sessions")


class Redis:
    """A redis-server of its own, nothing on disk."""

    def __init__(self, folder, port=0):
        self.port, self.folder = port or free_port(), folder
        self.start()

    def start(self):
        self.process = Process("redis", [
            tool("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--appendonly", "no", "--dir", self.folder], self.folder)
        wait_until(self._answers, READY_S, "redis-server answers")

    def _answers(self):
        try:
            return self.command("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def command(self, *words):
        """One command, inline words; returns the raw answer."""
        raw = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode())
                                               for w in words)
        with socket.create_connection(("127.0.0.1", self.port), 2) as sock:
            sock.sendall(raw)
            return sock.recv(65536)

    def url(self):
        return f"redis://127.0.0.1:{self.port}"


class Cluster:
    """Context manager: scheduler, origins, edges, ports chosen by the kernel.

    node_set, origin_set, edge_set, scheduler_set are dicts of configuration keys. schedulers=0 makes
    nodes without a cluster section (origins alone make sense then)."""

    def __init__(self, origins=1, edges=2, store="memory", schedulers=1, node_set=None,
                 origin_set=None, edge_set=None, scheduler_set=None):
        self.folder = tempfile.mkdtemp(prefix="headwater-test-")
        self.n_origins, self.n_edges, self.store = origins, edges, store
        self.node_set, self.scheduler_set = node_set or {}, scheduler_set or {}
        self.role_set = {"origin": origin_set or {}, "edge": edge_set or {}}
        self.n_schedulers = schedulers
        self.processes, self.schedulers, self.origins, self.edges = [], [], [], []
        self.redis = None
        self.token_path = os.path.join(self.folder, "token")
        with open(os.open(self.token_path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(TOKEN)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.show_logs()
            self.close(check=False)
            raise

    def __exit__(self, kind, *_):
        if kind:
            self.show_logs()
        self.close(check=kind is None)

    @property
    def nodes(self):
        return self.origins + self.edges

    @property
    def scheduler(self):
        return self.schedulers[0]

    def start_store(self):
        if self.store == "redis":
            self.redis = Redis(self.folder)

    def start(self):
        self.start_store()
        for index in range(self.n_schedulers):
            self.start_scheduler(index)
        self.origins = [self.make_node("origin", i) for i in range(self.n_origins)]
        self.edges = [self.make_node("edge", i) for i in range(self.n_edges)]
        for node in self.nodes:
            node.learn()
        if self.n_schedulers:
            self.wait_settled()
        return self

    def start_scheduler(self, index=0, port=0):
        """Appends a scheduler, or puts a new one in the place of a dead one."""
        sets = {"http.listen": f"127.0.0.1:{port}", "token_file": self.token_path,
                "store.type": self.store, **self.scheduler_set}
        if self.redis:
            sets["store.redis.url"] = self.redis.url()
        process = program("headwater-scheduler", sets, self.folder, f"scheduler-{index + 1}")
        self.processes.append(process)
        process.http = parse_address(process.wait_ready()["http"])
        self.schedulers[index:index + 1] = [process]
        return process

    def make_node(self, role, index, **more):
        """Starts a node; learn() it before use. more: keys with __ for dots."""
        node_id = f"{role}-{index + 1}"
        sets = {"cluster.node_id": node_id, "rtmp.listen": "127.0.0.1:0", "http.listen": "127.0.0.1:0",
                "rtmps.listen": "127.0.0.1:0", "https.listen": "127.0.0.1:0", "admin.listen": "127.0.0.1:0",
                "loops": "2", "drain_timeout_s": "2"}
        if self.n_schedulers:
            sets.update({"cluster.role": role, "cluster.token_file": self.token_path,
                         "cluster.schedulers": ["http://%s:%d" % s.http for s in self.schedulers]})
        sets.update(self.node_set)
        sets.update(self.role_set[role])
        sets.update({key.replace("__", "."): value for key, value in more.items()})
        node = Node(node_id, sets, self.folder)
        self.processes.append(node)
        return node

    def restart_node(self, node, same_ports=True):
        """A new process with the same keys in the place of a dead one; others may have taken its ports meanwhile."""
        ports = {"rtmp.listen": node.rtmp, "http.listen": node.http, "rtmps.listen": node.rtmps,
                 "https.listen": node.https, "admin.listen": node.admin} if same_ports else {}
        sets = {**node.sets, **{key: "%s:%d" % address for key, address in ports.items() if address}}
        fresh = Node(node.id, sets, self.folder)
        self.processes.append(fresh)
        for group in (self.origins, self.edges):
            if node in group:
                group[group.index(node)] = fresh
        return fresh.learn()

    def wait_settled(self, timeout_s=15):
        """Until the scheduler knows every living node."""
        want = {node.id for node in self.nodes if node.is_alive()}
        for scheduler in self.schedulers:
            wait_until(lambda: want <= self.known_nodes(scheduler), timeout_s,
                       lambda: f"{scheduler.name} knows {sorted(want)}")

    def list(self, process, path, headers=None):
        """All items of a list of a node's or a scheduler's API."""
        return items(process.admin if isinstance(process, Node) else process.http, path, headers)

    def known_nodes(self, scheduler):
        try:
            return {n["id"] for n in self.list(scheduler, "/api/v1/nodes?limit=1000") if n["state"] == "active"}
        except OSError:
            return set()

    def entry(self, stream):
        return "http://%s:%d/%s.flv" % (*self.scheduler.http, stream)

    def wait_route(self, stream, timeout_s=10):
        """Until the scheduler knows an owner of the stream."""
        wait_until(lambda: any(s["name"] == stream for s in items(self.scheduler.http, "/api/v1/streams")),
                   timeout_s, f"the scheduler knows {stream}")

    def show_logs(self):
        for process in self.processes:
            print(f"--- {process.name} ({process.log_path})\n{process.tail()}", file=sys.stderr)

    def close(self, check=True):
        """Stops all. AssertionError when a process crashed, ended badly or a sanitizer spoke."""
        problems = []
        for process in [p for p in self.processes if not p.is_alive() and not p.expect_death]:
            problems.append(f"{process.name}: gone before its time")
        for process in reversed(self.processes):
            if isinstance(process, Node) and process.is_alive():
                process.signal(signal.SIGTERM)  # all at once: they end side by side
        for process in reversed(self.processes):
            problems += process.problems(process.stop())
        if self.redis:
            self.redis.process.stop()
        if check and problems:
            self.show_logs()
            raise AssertionError("; ".join(problems))
        if check and not problems:
            shutil.rmtree(self.folder, ignore_errors=True)


class ClusterTest(unittest.TestCase):
    """A test class with one cluster for all its tests; cluster_args are those of Cluster."""

    cluster_args = {}

    @classmethod
    def setUpClass(cls):
        cls.failed = False
        cls.cluster = Cluster(**cls.cluster_args)
        cls.cluster.__enter__()

    @classmethod
    def tearDownClass(cls):
        if cls.failed:
            cls.cluster.show_logs()
        cls.cluster.close()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            type(self).failed = True

    def assert_clean(self, *viewers):
        """Connected, in order, nothing lost."""
        for viewer in viewers:
            where = f"{type(viewer).__name__} of {viewer.stream} at {viewer.address}"
            self.assertIsNone(viewer.error, where)
            self.assertFalse(viewer.closed, f"{where}: closed")
            self.assertEqual(viewer.log.problems, [], where)


def main():
    # The name of each test as it runs; a hanging one is then seen in ctest's output.
    unittest.main(verbosity=2)
