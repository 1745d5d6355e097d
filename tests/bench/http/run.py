#!/usr/bin/python3
"""Requests a second of the HTTP server next to nginx, which serves the same bytes from its cache of open
files: one core each, the load (h2load) on another, in interleaved rounds. Prints Markdown. Needs a release
build and, once, deploy/install-packages.sh bench test."""

import argparse
import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
os.environ.setdefault("HEADWATER_BIN_DIR", os.path.join(ROOT, ".build", "release", "bin"))
sys.path[:0] = [os.path.join(ROOT, "tests", "integration"), os.path.join(ROOT, "tests", "bench")]

import bench_proc
import certs
import harness

# Of a playlist; of parts of LL-HLS at 1, 2 and 8 Mbit/s; of a segment of 4 s at 2 Mbit/s.
SIZES = (1000, 25_000, 50_000, 200_000, 1_000_000)
TARGET = 0.8  # of nginx, for plain HTTP/1.1
NGINX_CONF = """
user root;
daemon off;
worker_processes 1;
error_log {folder}/error.log warn;
pid {folder}/nginx.pid;
events {{ worker_connections 1000; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    open_file_cache max=100 inactive=1h;
    open_file_cache_valid 1h;
    default_type video/mp4;
    add_header Cache-Control max-age=60;
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl http2;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        root {folder};
    }}
}}
"""


class Case:
    """How it is asked: plain or TLS, which version, how many connections and streams."""

    def __init__(self, name, tls, options):
        self.name, self.tls, self.options = name, tls, options


CASES = (Case("HTTP/1.1", False, ("--h1", "-c", "50")),
         Case("HTTP/1.1, TLS", True, ("--h1", "-c", "50")),
         Case("HTTP/2, TLS", True, ("-c", "10", "-m", "10")))


class Server:
    """A process on one core; ports by whether they speak TLS."""

    def __init__(self, name, argv, ports, core):
        self.name, self.ports = name, ports
        with bench_proc.pinned({core}):
            self.popen = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    def pid(self):
        """Of what does the work: nginx's worker, else the process."""
        with open(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children") as file:
            children = file.read().split()
        return int(children[0]) if children else self.popen.pid

    def stop(self):
        self.popen.send_signal(signal.SIGTERM)
        self.popen.wait(timeout=20)


def start_ours(stack, folder, cert, key, core):
    argv = [os.path.join(harness.BIN_DIR, "headwater-bench-http"), "127.0.0.1:0"]
    servers = {}
    for tls in (False, True):
        server = Server("headwater", argv + ([cert, key] if tls else []), {}, core)
        stack.callback(server.stop)
        server.ports[tls] = harness.parse_address(server.popen.stdout.readline().split()[1])[1]
        servers[tls] = server
    return servers


def start_nginx(stack, folder, cert, key, core):
    ports = {False: harness.free_port(), True: harness.free_port()}
    os.mkdir(os.path.join(folder, "bytes"))
    for size in SIZES:
        with open(os.path.join(folder, "bytes", str(size)), "wb") as file:
            file.write(bytes(ord("a") + i % 26 for i in range(size)))
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w") as file:
        file.write(NGINX_CONF.format(folder=folder, plain=ports[False], tls=ports[True], cert=cert, key=key))
    server = Server("nginx", [harness.tool("nginx"), "-c", path, "-p", folder], ports, core)
    stack.callback(server.stop)
    harness.wait_until(lambda: server.pid() != server.popen.pid, 10, "nginx has a worker")
    return {False: server, True: server}


def cpu_s(pid):
    return sum(bench_proc.run_ns(f"/proc/{pid}/task/{tid}") for tid in os.listdir(f"/proc/{pid}/task")) / 1e9


def measure(server, case, size, seconds, core):
    """(requests a second, microseconds of the server's CPU a request)."""
    scheme = "https" if case.tls else "http"
    url = f"{scheme}://127.0.0.1:{server.ports[case.tls]}/bytes/{size}"
    pid, before = server.pid(), cpu_s(server.pid())
    with bench_proc.pinned({core}):
        said = subprocess.run([harness.tool("h2load"), *case.options, "-D", str(seconds), "--warm-up-time", "1", url],
                              check=True, capture_output=True, text=True).stdout
    busy_s = cpu_s(pid) - before
    rate = float(re.search(r"finished in .*, ([\d.]+) req/s", said)[1])
    n_good, n_bad = map(int, re.search(r"(\d+) succeeded, (\d+) failed", said).groups())
    if not n_good or n_bad:
        raise AssertionError(f"{server.name}, {case.name}: {said}")
    # h2load counts no request of its warm-up, so the server's time is put on the time it was busy.
    return rate, busy_s / (seconds + 1) / rate * 1e6


def run_row(servers, case, size, args, cores):
    """Rounds with both, every other one in reverse order. Medians, and those of the ratios of a round."""
    rounds = []
    for i in range(args.rounds):
        order = servers if i % 2 == 0 else dict(reversed(servers.items()))
        rounds.append({name: measure(by_tls[case.tls], case, size, args.seconds, cores[1])
                       for name, by_tls in order.items()})
    median = {name: [statistics.median(r[name][k] for r in rounds) for k in (0, 1)] for name in servers}
    rate = statistics.median(r["headwater"][0] / r["nginx"][0] for r in rounds)
    cpu = statistics.median(r["nginx"][1] / r["headwater"][1] for r in rounds)
    return median, rate, cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="steady window of a run")
    parser.add_argument("--quick", action="store_true", help="one round of 1 s, of small answers: does the bench itself work?")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds = 1, 1
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        sys.exit("two cores are needed")
    good = True
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        os.chmod(folder, 0o755)  # nginx's worker looks into it
        cert, key = certs.Authority(folder, "ca").issue("localhost", ["DNS:localhost", "IP:127.0.0.1"])
        servers = {"headwater": start_ours(stack, folder, cert, key, cores[0]),
                   "nginx": start_nginx(stack, folder, cert, key, cores[0])}
        print(f"{time.strftime('%Y-%m-%d')}, `tests/bench/http/run.py`: {args.rounds} rounds of {args.seconds} s\n")
        print("| | bytes | headwater req/s | nginx req/s | ratio | CPU µs/req | nginx | ratio | target |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |", flush=True)
        for case in CASES:
            for size in SIZES[:1] if args.quick else SIZES:
                median, rate, cpu = run_row(servers, case, size, args, cores)
                ok = case.tls or rate >= TARGET
                good = good and ok
                verdict = "no target" if case.tls else f"{TARGET}: {'ok' if ok else 'MISSED'}"
                print(f"| {case.name} | {size:,} | {median['headwater'][0]:,.0f} | {median['nginx'][0]:,.0f} "
                      f"| {rate:.2f} | {median['headwater'][1]:.1f} | {median['nginx'][1]:.1f} | {cpu:.2f} "
                      f"| {verdict} |", flush=True)
    sys.exit(0 if good or args.quick else 1)


if __name__ == "__main__":
    main()
