"""What tests of pulls and pushes share: a node with a fresh set of relays, its API, and nginx as the other side."""

import json
import os
import shutil
import socket

import amf0
import flv
import harness
import rtmp
import swarm

NGINX_RTMP = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
NGINX_CONF = """
load_module {module};
{user}
daemon off;
worker_processes 1;
error_log {folder}/nginx.log info;
pid {folder}/nginx.pid;
events {{ }}
rtmp {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        application live {{
            live on;
            wait_key on;
        }}
    }}
}}
"""


def nginx_path():
    """Debian has it where only root's PATH leads."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin") or harness.tool("nginx")


def start_nginx(test, folder):
    """nginx with its RTMP module, which is older than Enhanced RTMP; its address."""
    port = harness.free_port()
    path = os.path.join(folder, f"nginx-{port}.conf")
    with open(path, "w") as file:
        file.write(NGINX_CONF.format(module=NGINX_RTMP, folder=folder, port=port,
                                     user="user root;" if os.geteuid() == 0 else ""))
    process = harness.Process("nginx", [nginx_path(), "-c", path, "-p", folder], folder)
    test.addCleanup(process.stop)
    return "127.0.0.1", port


def until_accepting(flock, address):
    def is_there():
        probe = flock.raw(address)
        flock.run(0.05)
        probe.close()
        return not probe.error
    harness.wait_until(is_there, 10, "it accepts")


def with_opus(clip):
    """The clip with its sound as Opus, in Enhanced RTMP's words; what the packets hold matters to nobody here."""
    head = b"OpusHead" + bytes([1, 2]) + (312).to_bytes(2, "little") + (48000).to_bytes(4, "little") + bytes(3)
    clip.headers = [tag for tag in clip.headers if tag.type == swarm.VIDEO]
    clip.headers.append(flv.Tag(swarm.AUDIO, 0, b"\x90Opus" + head))
    clip.frames = [flv.Tag(tag.type, tag.ts, b"\x91Opus" + tag.body[2:]) if tag.type == swarm.AUDIO else tag
                   for tag in clip.frames]
    return clip


class HandMadeTarget:
    """An RTMP server for one publisher a connection. refusal(app): why it is not let in, or None."""

    def __init__(self, refusal=lambda app: None, stream_id=1):
        self.refusal, self.stream_id = refusal, stream_id
        self.n_media, self.names = 0, []
        self.n_here = 0  # connections
        self.listener = harness.Listener(self._serve)
        self.port, self.close = self.listener.port, self.listener.close

    def _serve(self, peer):
        self.n_here += 1
        try:
            c0c1 = peer.recv(1537, socket.MSG_WAITALL)
            peer.sendall(b"\x03" + bytes(1536) + c0c1[1:])
            peer.recv(1536, socket.MSG_WAITALL)
            reader, goes_on = rtmp.ChunkReader(), True
            while goes_on and (data := peer.recv(65536)):
                for kind, _, _, body in reader.feed(data):
                    self.n_media += kind in (swarm.AUDIO, swarm.VIDEO)
                    goes_on = goes_on and (kind != rtmp.COMMAND or self._command(peer, amf0.decode(body)))
        except OSError:
            pass
        self.n_here -= 1
        peer.close()

    def _command(self, peer, values):
        name, transaction = values[:2]

        def say(*what):
            peer.sendall(rtmp.command(*what, chunk_size=128))
        if name == "connect":
            why = self.refusal(values[2]["app"])
            say("_error" if why else "_result", transaction, None, {
                "level": "error" if why else "status", "description": why or "welcome",
                "code": "NetConnection.Connect." + ("Rejected" if why else "Success")})
            return not why
        if name == "createStream":
            say("_result", transaction, None, self.stream_id)
        if name == "publish":
            self.names.append(values[3])
            say("onStatus", 0, None, {"level": "status", "code": "NetStream.Publish.Start", "description": "go"})
        return True


def call(node, method, path, body=None):
    """(status, answer) of /api/v1/relays/{path}."""
    text = json.dumps(body) if body is not None else None
    status, _, answer = harness.http_request(node.admin, "/api/v1/relays" + (f"/{path}" if path else ""), method,
                                             {"Content-Type": "application/json"}, text)
    return status, json.loads(answer) if answer else None


def n_files(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


class RelayTest(harness.ClusterTest):
    """node: one of no cluster that may go to this machine, and has no relays when a test begins."""

    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0,
                    "node_set": {"relay.allowed_networks": "127.0.0.0/8", "pull_idle_ms": "500",
                                 "publisher_grace_ms": "1000", "stall_timeout_ms": "3000"}}

    def setUp(self):
        self.n_peers = 0
        self.node = self.cluster.origins[0]
        self.started = []
        self.addCleanup(self.forget)

    def forget(self):
        """For the next test: nothing told, nobody left."""
        for kind in ("pulls", "pushes"):
            for item in call(self.node, "GET", kind)[1]["items"]:
                call(self.node, "DELETE", f"{kind}/{item.get('id') or item['stream']}")
        for process in self.started:
            process.stop()
            process.expect_death = True
        harness.wait_until(lambda: not self.node.streams(), 15, "no stream is left")

    def make_peer(self, **more):
        """Another node of no cluster."""
        self.n_peers += 1
        node = self.cluster.make_node("edge", 100 + len(self.cluster.processes), **more).learn()
        self.started.append(node)
        return node

    def call(self, method, path, body=None, node=None):
        return call(node or self.node, method, path, body)

    def tell(self, kind, node=None, **item):
        status, answer = call(node or self.node, "POST", kind, item)
        self.assertEqual(status, 200, answer)
        return answer

    def pushes(self, node=None):
        return call(node or self.node, "GET", "pushes")[1]["items"]

    def pull(self, stream, node=None):
        return call(node or self.node, "GET", f"pulls/{stream}")[1]
