"""The programs that are measured: Headwater, the floor programs, nginx with its RTMP module. Each is a
context manager with pid, url(kind, stream) and cores."""

import contextlib
import os
import re
import shutil
import subprocess

import bench_proc
import certs
import harness

NGINX_RTMP = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
NGINX_CONF = """
load_module {module};
user root;
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
error_log {folder}/error.log warn;
pid {folder}/nginx.pid;
events {{
    worker_connections 20000;
}}
rtmp {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        chunk_size 4096;
        application live {{
            live on;
            wait_key on;
        }}
    }}
}}
"""


class Server:
    """What all have in common. cores: where it may run."""

    peer = None  # as in --only-peers

    def __init__(self, bench, cores=None):
        self.bench, self.cores = bench, set(cores or bench.server_cores)
        self.process = None

    def __enter__(self):
        with bench_proc.pinned(self.cores):
            self.start()
        return self

    def __exit__(self, kind, *_):
        code = self.process.stop()
        problems = self.process.problems(code)
        if problems and not kind:
            raise AssertionError("; ".join(problems))

    @property
    def pid(self):
        return self.process.pid


class Floor(Server):
    """A floor program; args name its work."""

    peer = "floor"

    def __init__(self, bench, program, *args):
        super().__init__(bench)
        self.program, self.args = program, args

    def start(self):
        path = os.path.join(harness.BIN_DIR, self.program)
        argv = [path, "--listen", "127.0.0.1:0", *map(str, self.args)]
        self.process = harness.Process(self.program, argv, self.bench.folder)
        self.port = int(self.process.wait_log("ready port=").split("=")[1])

    def url(self, kind, stream):
        if kind == "rtmp":
            return f"rtmp://127.0.0.1:{self.port}/{stream}"
        return f"http://127.0.0.1:{self.port}/{stream}.flv"


class Headwater(Server):
    """One node without a cluster; sets are configuration keys."""

    peer = "headwater"

    def __init__(self, bench, cores=None, **sets):
        super().__init__(bench, cores)
        self.sets = {"loops": "1", **{key.replace("__", "."): str(value) for key, value in sets.items()}}

    def start(self):
        sets = {"rtmp.listen": "127.0.0.1:0", "http.listen": "127.0.0.1:0", "admin.listen": "127.0.0.1:0",
                "drain_timeout_s": "1", "limits.parked_viewers": "100000", **self.sets}
        self.process = harness.Node("node", sets, self.bench.folder).learn()
        self.rtmp, self.http = self.process.rtmp, self.process.http

    def url(self, kind, stream):
        return self.process.url(stream, kind)

    def streams(self):
        return self.process.streams()


class HeadwaterTls(Headwater):
    """The same with a certificate (P-256), for https and rtmps beside http and rtmp."""

    def start(self):
        pair = certs.Authority(self.bench.folder, "bench-ca").issue("node", ["IP:127.0.0.1"])
        self.sets |= {"tls.certificates": "=".join(pair), "https.listen": "127.0.0.1:0",
                      "rtmps.listen": "127.0.0.1:0"}
        super().start()


class Nginx(Server):
    """nginx with the RTMP module of Debian's packages; one worker, which is what is measured."""

    peer = "nginx"

    def start(self):
        if not os.path.exists(NGINX_RTMP):
            raise AssertionError(f"{NGINX_RTMP} does not exist: deploy/install-packages.sh bench")
        self.port = harness.free_port()
        path = os.path.join(self.bench.folder, "nginx.conf")
        with open(path, "w") as file:
            file.write(NGINX_CONF.format(module=NGINX_RTMP, folder=self.bench.folder, port=self.port))
        argv = [nginx_path(), "-c", path, "-p", self.bench.folder]
        self.process = harness.Process("nginx", argv, self.bench.folder)
        self.worker = harness.wait_until(self.find_worker, 10, "nginx has a worker")

    def find_worker(self):
        children = bench_proc.read(f"/proc/{self.process.pid}/task/{self.process.pid}/children").split()
        return int(children[0]) if children else None

    @property
    def pid(self):
        return self.worker

    def url(self, kind, stream):
        assert kind == "rtmp", "the module has no HTTP-FLV"
        return f"rtmp://127.0.0.1:{self.port}/{stream}"


class Pair:
    """Origin, edge and scheduler; everything on the server's cores."""

    peer = "headwater"

    def __init__(self, bench, **sets):
        self.bench, self.cores = bench, set(bench.server_cores)
        self.cluster = harness.Cluster(origins=1, edges=1, node_set={
            "loops": "1", "drain_timeout_s": "1", **{k.replace("__", "."): v for k, v in sets.items()}})

    def __enter__(self):
        with bench_proc.pinned(self.cores):
            self.cluster.__enter__()
        self.origin, self.edge = self.cluster.origins[0], self.cluster.edges[0]
        return self

    def __exit__(self, *why):
        self.cluster.__exit__(*why)


def nginx_path():
    return shutil.which("nginx") or "/usr/sbin/nginx"


def versions():
    """{program: what it says of itself}; those that are not installed say so."""
    commands = {"headwater-node": [os.path.join(harness.BIN_DIR, "headwater-node"), "--version"],
                "nginx": [nginx_path(), "-v"], "strace": ["strace", "-V"], "ffmpeg": ["ffmpeg", "-version"],
                "nginx rtmp module": ["dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-rtmp"]}
    found = {}
    for name, argv in commands.items():
        found[name] = "not installed"
        with contextlib.suppress(OSError):
            done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  check=False)
            line = done.stdout.partition("\n")[0] or "?"
            found[name] = re.sub(r"^(nginx|strace|ffmpeg|headwater-node).*?(\d+\.[\w.+~-]+).*", r"\2", line)
    return found
