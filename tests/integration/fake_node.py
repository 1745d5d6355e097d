"""A node made by hand, for tests of the scheduler: it says what it is told to, and answers what schedulers
ask nodes."""

import http.client
import json
import random
import shutil
import socket
import tempfile
import threading
from urllib.parse import parse_qs, urlsplit

import harness

LISTENERS = []  # of the fake nodes of the running test


def call(scheduler, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(scheduler, timeout=10)
    try:
        data = json.dumps(body) if isinstance(body, (dict, list)) else body
        connection.request(method, path, data, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        is_json = "json" in (answer.getheader("Content-Type") or "")
        return answer.status, dict(answer.getheaders()), json.loads(text) if is_json else text
    finally:
        connection.close()


def owned_sum(streams):
    """What a node says of the streams that it owns (cluster_sum_toggle())."""
    total, mask = 1, 2**64 - 1
    for stream in streams:
        if stream.get("kind") == "carried":
            continue
        h = 0xcbf29ce484222325 ^ int(stream.get("epoch", 0))
        for byte in stream["name"].encode():
            h = (h ^ byte) * 0x100000001b3 & mask
        h = (h ^ h >> 33) * 0xff51afd7ed558ccd & mask
        total ^= h ^ h >> 33
    return total


class FakeNode:
    """What a node says to a scheduler. It answers /healthz and /v1/trace while it lives."""

    def __init__(self, scheduler, node_id, role="origin", instance=None, answers=True):
        self.scheduler, self.id, self.role = scheduler, node_id, role
        self.instance = instance or random.getrandbits(63)
        self.seq, self.streams, self.standbys, self.highest_epoch = 0, {}, [], 0
        self.counts = False  # nodes of before do not
        self.sessions = {}  # what it answers of each to a trace
        self.asked = []  # (path, Authorization) of what it was asked
        self.port = 1
        if answers:
            self.listener = harness.Listener(self._answer)
            self.port = self.listener.port
            LISTENERS.append(self.listener)

    def _answer(self, peer):
        with peer:
            head = harness.read_head(peer)
            if not head:
                return
            lines = head.decode().split("\r\n")
            target = lines[0].split()[1]
            headers = {line.split(":")[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:] if ":" in line}
            self.asked.append((target, headers.get("authorization", "")))
            status, body = "200 OK", b"{}"
            if target.startswith("/v1/trace"):
                found = self.sessions.get(parse_qs(urlsplit(target).query)["session"][0])
                status, body = ("200 OK", json.dumps(found).encode()) if found else ("404 Not Found", b"{}")
            peer.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)

    def die(self):
        self.listener.close()

    def call(self, method, path, body=None, **headers):
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        return call(self.scheduler, method, path, body, headers)

    def message(self, full=True, **more):
        self.seq += 1
        urls = {"http": f"http://127.0.0.1:{self.port}", "rtmp": "rtmp://127.0.0.1:1"}
        if self.counts:
            more = {"owned_sum": str(owned_sum(self.streams.values())), **more}
        return {"v": 1, "instance": str(self.instance), "seq": self.seq, "full": full,
                "role": self.role, "state": "active", "public": {**urls, "http": f"http://{self.id}.example"},
                "internal": urls, "highest_epoch": str(self.highest_epoch),
                "standbys": [{"name": name} for name in self.standbys],
                "streams": list(self.streams.values()), **more}

    def beat(self, full=True, expect=200, **more):
        status, _, answer = self.call("POST", f"/v1/nodes/{self.id}/heartbeat", self.message(full, **more))
        assert status == expect, (status, answer)
        return answer

    def publish(self, stream, expect="granted", **more):
        status, _, answer = self.call("POST", f"/v1/streams/{stream}/publish",
                                      {"v": 1, "node": self.id, "instance": str(self.instance), **more})
        assert status == 200 and answer["decision"] == expect, (status, answer)
        if expect == "granted":
            self.owns(stream, answer["epoch"])
        if expect == "standby":
            self.standbys.append(stream)
        return answer

    def owns(self, stream, epoch):
        self.highest_epoch = int(epoch)
        self.streams[stream] = {"name": stream, "epoch": epoch}
        if stream in self.standbys:
            self.standbys.remove(stream)

    def unpublish(self, stream, epoch):
        return self.call("DELETE", f"/v1/streams/{stream}/publish",
                         {"v": 1, "node": self.id, "instance": str(self.instance), "epoch": epoch})[0]

    def carry(self, stream, epoch, upstream, **more):
        self.streams[stream] = {"name": stream, "kind": "carried", "epoch": epoch, "depth": 1,
                                "upstream": upstream, **more}

    def route(self, stream, **args):
        query = "&".join(f"{key}={value}" for key, value in {"node": self.id, **args}.items())
        return self.call("GET", f"/v1/route?stream={stream}&{query}")[2]

    def events(self):
        return Events(self.scheduler, self.id, self.instance)


class Events:
    """The events connection of a node; lines but pings are kept."""

    def __init__(self, scheduler, node_id, instance=None):
        self.connection = http.client.HTTPConnection(scheduler, timeout=20)
        query = f"?instance={instance}" if instance else ""
        self.connection.request("GET", f"/v1/nodes/{node_id}/events{query}")
        self.answer = self.connection.getresponse()
        self.lines = []
        assert self.answer.status == 200
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for line in self.answer:
                event = json.loads(line)
                if event["type"] != "ping":
                    self.lines.append(event)
        except (OSError, ValueError, http.client.HTTPException):
            pass
        self.answer.close()
        self.connection.close()

    def of(self, kind):
        return [e for e in self.lines if e["type"] == kind]

    def wait(self, kind, stream=None, timeout_s=5):
        """The newest event of the kind, about the stream if one is given."""
        def look():
            return [e for e in self.of(kind) if stream in (None, e.get("name"))]
        return harness.wait_until(look, timeout_s, f"event {kind} {stream or ''}")[-1]

    def close(self):
        self.connection.sock.shutdown(socket.SHUT_RDWR)


def close_listeners():
    while LISTENERS:
        LISTENERS.pop().close()


class SchedulerHarness:
    """A running scheduler, for test cases; sets are its keys."""

    sets = {}

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="headwater-test-")
        self.processes = []
        self.addCleanup(self.close)
        self.prepare()
        self.scheduler = self.start()

    def prepare(self):
        pass

    def start(self, **more):
        process = harness.program("headwater-scheduler", {
            "http.listen": "127.0.0.1:0", "lease_ms": 1000, "heartbeat_ms": 200, **self.sets, **more},
            self.folder)
        self.processes.append(process)
        address = process.wait_ready()["http"]
        harness.wait_until(lambda: call(address, "GET", "/readyz")[2]["status"] == "ok", 10, "store up")
        return address

    def close(self):
        close_listeners()
        problems = [text for process in self.processes for text in process.problems(process.stop())]
        logs = "\n".join(process.tail(15) for process in self.processes) if problems else ""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.assertEqual(problems, [], logs)

    def metric(self, name, **labels):
        return harness.Metrics(call(self.scheduler, "GET", "/metrics")[2]).total(name, **labels)

    def pair(self):
        nodes = FakeNode(self.scheduler, "o1"), FakeNode(self.scheduler, "o2")
        for node in nodes:
            node.beat()
        return nodes

    def owner(self, stream, scheduler=None):
        status, _, answer = call(scheduler or self.scheduler, "GET", f"/api/v1/streams/{stream}")
        return answer["owner"] if status == 200 else None
