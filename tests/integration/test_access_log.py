"""The access log: one line a session at its end, whatever its protocol, and one for who was refused; its file is
rotated, full, or not to be written, and nobody waits for it."""

import json
import os
import re
import shutil
import signal
import tempfile

import balancer
import harness
import media
import records
import swarm

COLUMNS = ["time", "node", "session", "client", "protocol", "kind", "stream", "refused", "seconds", "bytes_in",
           "bytes_out", "jumps", "dropped", "referrer", "agent", "reason"]
SECRET = "s3cr3t-in-a-query"


class Logged(harness.ClusterTest):
    node_args, cluster_more = {}, {}

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="headwater-access-log-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.path = os.path.join(cls.folder, "access.log")
        cls.cluster_args = {"origins": 1, "edges": 0, "schedulers": 0, "node_set": {
            "access_log.file": cls.path, "hls.idle_ms": "1000", "play_wait_ms": "300",
            "trusted_proxies": balancer.TRUSTED, "limits.apps": "full viewers=1", **cls.node_args}, **cls.cluster_more}
        super().setUpClass()
        cls.node = cls.cluster.origins[0]

    def setUp(self):
        self.n_lines = len(self.lines())

    def lines(self, path=None):
        if not os.path.exists(path or self.path):
            return []
        with open(path or self.path, encoding="utf-8") as file:
            return file.read().splitlines()

    def entries(self, path=None):
        """What was written since the test began."""
        return [json.loads(line) for line in self.lines(path)[self.n_lines:]]

    def wait_entry(self, timeout_s=10, **want):
        def look():
            return [e for e in self.entries() if all(e[key] == value for key, value in want.items())]
        return harness.wait_until(look, timeout_s, lambda: f"{want} in {self.entries()}")[0]

    def publish(self, stream, clip="small", **more):
        encoder = media.publish(media.clip(clip), self.node.url(stream), self.folder, **more)
        self.addCleanup(encoder.kill)
        harness.wait_until(lambda: any(s["name"] == stream and s.get("live", True) for s in self.node.streams()), 10,
                           f"{stream} is live")
        return encoder

    def get(self, path, *headers, n_bytes=1, source="127.0.0.1"):
        """A request whose answer is read up to so many bytes, and left."""
        sock = balancer.connect(self.node.http, source)
        sock.sendall(("\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *headers]) + "\r\n\r\n").encode())
        got = 0
        while got < n_bytes:
            data = sock.recv(65536)
            if not data:
                break
            got += len(data)
        sock.close()


class TestJson(Logged):
    def test_a_viewer_over_http(self):
        self.publish("live/x", loop=True)
        self.get(f"/live/x.flv?token={SECRET}", 'User-Agent: a "player"\\\xe9/1',
                 f"Referer: https://user:{SECRET}@site.example/page?key={SECRET}#part",
                 "X-Forwarded-For: 203.0.113.9", n_bytes=30000, source=balancer.TRUSTED)
        entry = self.wait_entry(kind="play", stream="live/x")
        self.assertEqual(list(entry), COLUMNS)
        self.assertRegex(entry["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual((entry["node"], entry["protocol"], entry["client"], entry["refused"]),
                         ("origin-1", "flv", "203.0.113.9:0", False))
        self.assertRegex(entry["session"], "^f-[0-9a-f]{12}$")
        self.assertEqual(entry["referrer"], "https://site.example/page")
        self.assertEqual(entry["agent"], 'a "player"\\é/1')
        self.assertEqual(entry["reason"], "closed by the peer")
        self.assertGreaterEqual(entry["bytes_out"], 30000)
        self.assertGreater(entry["seconds"], 0)
        self.assertFalse([line for line in self.lines() if SECRET in line])

    def test_a_publisher_and_its_viewers_over_rtmp(self):
        encoder = self.publish("live/y")
        with swarm.Swarm() as players:
            viewer = players.play_rtmp(self.node.rtmp, "live/y")
            players.until(lambda: viewer.log.n_frames > 20, 10, "media")
        viewer = self.wait_entry(protocol="rtmp", kind="play", stream="live/y")
        self.assertGreater(viewer["bytes_out"], 1000)
        encoder.popen.wait(20)
        publisher = self.wait_entry(protocol="rtmp", kind="publish", stream="live/y")
        self.assertGreater(publisher["bytes_in"], 10000)
        self.assertIn("Lavf", publisher["agent"])
        self.assertRegex(publisher["session"], "^r-")
        self.assertEqual(len([e for e in self.entries() if e["stream"] == "live/y"]), 2)

    def test_hls_is_one_session(self):
        self.publish("live/h", loop=True)
        for _ in range(3):
            self.get("/live/h/fmp4.m3u8?session=h-0123456789ab", "User-Agent: tv", n_bytes=200)
        entry = self.wait_entry(protocol="hls", kind="play")
        self.assertEqual((entry["session"], entry["agent"], entry["stream"]), ("h-0123456789ab", "tv", "live/h"))
        self.assertGreater(entry["bytes_out"], 100)
        self.assertEqual(len([e for e in self.entries() if e["protocol"] == "hls"]), 1)

    def test_who_is_refused_has_a_line_with_the_reason(self):
        self.publish("full/x", loop=True)
        sock = balancer.connect(self.node.http, data=b"GET /full/x.flv HTTP/1.1\r\nHost: a\r\n\r\n")
        self.addCleanup(sock.close)
        sock.recv(1000)
        self.get("/full/x.flv", "User-Agent: second")
        entry = self.wait_entry(refused=True, stream="full/x", protocol="flv")
        self.assertIn("limits.apps", entry["reason"])
        self.assertEqual((entry["agent"], entry["session"], entry["kind"]), ("second", "", "play"))
        with swarm.Swarm() as players:
            viewer = players.play_rtmp(self.node.rtmp, "full/x")
            players.until(lambda: "NetStream.Play.Failed" in viewer.codes, 10, "the refusal")
            other = players.publish(self.node.rtmp, "full/x", swarm.Clip(media.clip("small")))
            players.until(lambda: "NetStream.Publish.BadName" in other.codes, 10, "the refusal")
        entry = self.wait_entry(refused=True, stream="full/x", protocol="rtmp", kind="play")
        self.assertIn("limits.apps", entry["reason"])
        entry = self.wait_entry(refused=True, stream="full/x", protocol="rtmp", kind="publish")
        self.assertIn("publisher already", entry["reason"])

    def test_who_waits_in_vain_and_who_says_nothing(self):
        self.get("/live/nothing.flv")
        self.assertEqual(self.wait_entry(stream="live/nothing")["reason"], "no such stream")
        self.get("/live/nothing.m3u8")
        entry = self.wait_entry(stream="live/nothing", protocol="hls")
        self.assertEqual((entry["reason"], entry["refused"]), ("no such stream", True))
        balancer.connect(self.node.rtmp, "127.0.0.1", b"\x03").close()
        self.assertEqual(self.wait_entry(protocol="rtmp", kind="idle")["stream"], "")

    def test_a_kick_says_so(self):
        self.publish("live/k", loop=True)
        sock = balancer.connect(self.node.http, data=b"GET /live/k.flv HTTP/1.1\r\nHost: a\r\n\r\n")
        self.addCleanup(sock.close)
        session = harness.wait_until(lambda: [s for s in self.node.sessions() if s["stream"] == "live/k"
                                              and s["kind"] == "play"], 10, "the session")[0]
        harness.http_request(self.node.admin, "/api/v1/sessions/" + session["id"], "DELETE",
                             {"Content-Type": "application/json"})
        self.assertEqual(self.wait_entry(session=session["id"])["reason"], "closed by the operator")

    def test_rotation(self):
        self.get("/live/before.flv")
        self.wait_entry(stream="live/before")
        old = self.path + ".1"
        os.rename(self.path, old)
        self.node.signal(signal.SIGHUP)
        harness.wait_until(lambda: os.path.exists(self.path), 10, "a new file")
        self.n_lines = 0
        self.get("/live/behind.flv")
        self.wait_entry(stream="live/behind")
        self.assertIn("live/before", self.lines(old)[-1])
        self.assertFalse([line for line in self.lines(old) if "live/behind" in line])
        self.assertGreater(self.node.metrics().total("headwater_access_log_lines_total"), 1)


class TestEnds(Logged):
    """Sessions that end otherwise than by a player who leaves."""

    node_args = {"record.min_free_bytes": "0", "record.rules": "live/rec* formats=flv", "publisher_grace_ms": "300",
                 "relay.allowed_networks": "127.0.0.0/8", "limits.parked_viewers": "2",
                 "loops": "1", "play_wait_ms": "5000"}

    @classmethod
    def setUpClass(cls):
        cls.records = tempfile.mkdtemp(prefix="headwater-records-")
        cls.addClassCleanup(shutil.rmtree, cls.records, ignore_errors=True)
        cls.node_args = {**cls.node_args, "record.dir": cls.records}
        super().setUpClass()

    def test_each_play_of_a_record_is_a_line(self):
        encoder = self.publish("live/rec")
        encoder.popen.wait(30)
        record = records.wait_listed(self.node, "live/rec", 1)[0]
        self.get(record["url"], "User-Agent: whole", "Connection: close", n_bytes=1 << 30)
        whole = self.wait_entry(protocol="record", agent="whole")
        self.assertEqual((whole["bytes_out"], whole["reason"], whole["stream"], whole["refused"]),
                         (record["bytes"], "end of the record", "live/rec", False))
        self.get(record["url"], "User-Agent: part", "Range: bytes=0-99", "Connection: close", n_bytes=1 << 30)
        self.assertEqual(self.wait_entry(protocol="record", agent="part")["bytes_out"], 100)
        self.get(re.sub("[0-9]", "1", record["url"]), "User-Agent: lost", "Connection: close", n_bytes=1 << 30)
        self.assertTrue(self.wait_entry(protocol="record", agent="lost")["refused"])

    def test_a_push_is_a_line_at_its_end(self):
        there = "rtmp://%s:%d/live/copy" % self.node.rtmp
        status, _, answer = harness.http_request(
            self.node.admin, "/api/v1/relays/pushes", "POST", {"Content-Type": "application/json"},
            json.dumps({"id": "copy", "stream": "live/mine", "url": there}))
        self.assertEqual(status, 200, answer)
        encoder = self.publish("live/mine", loop=True)
        harness.wait_until(lambda: any(s["name"] == "live/copy" for s in self.node.streams()), 10, "the copy")
        encoder.kill()
        self.assertGreater(self.wait_entry(kind="push", stream="live/mine")["bytes_out"], 1000)

    def test_who_may_not_wait_has_a_line(self):
        for _ in range(2):
            self.addCleanup(balancer.connect(self.node.http, data=b"GET /live/nothing.flv HTTP/1.1\r\nHost: a\r\n\r\n").close)
        harness.wait_until(lambda: len(self.node.sessions()) == 2, 5, "two wait")
        for form, protocol in (("flv", "flv"), ("m3u8", "hls")):
            self.get(f"/live/nothing.{form}", "User-Agent: impatient", "Connection: close", n_bytes=1 << 30)
            entry = self.wait_entry(agent="impatient", protocol=protocol)
            self.assertEqual((entry["refused"], entry["stream"]), (True, "live/nothing"))
            self.assertIn("limits.parked_viewers", entry["reason"])


class TestText(Logged):
    node_args = {"access_log.format": "text"}

    def test_a_line_is_keys_and_values(self):
        self.get("/live/t.flv", 'User-Agent: a b"c')
        line = harness.wait_until(lambda: self.lines()[self.n_lines:], 10, "a line")[0]
        keys = re.findall(r'(?: |^)([a-z_]+)=(?:"(?:[^"\\]|\\.)*"|[^ ]*)', line)
        self.assertEqual(keys, COLUMNS[1:])
        self.assertRegex(line, r"^\d{4}-.*Z node=origin-1 session=f-")
        self.assertIn(r'agent="a b\"c"', line)


class TestRelays(Logged):
    cluster_more = {"schedulers": 1, "edges": 1}

    def test_relays_are_marked_as_such(self):
        edge = self.cluster.edges[0]
        self.publish("live/r", loop=True)
        with swarm.Swarm() as players:
            viewer = players.play_flv(edge.http, "live/r")
            players.until(lambda: viewer.log.n_frames > 10, 15, "media through the edge")
        entry = self.wait_entry(stream="live/r", kind="play", protocol="flv")
        self.assertEqual(entry["node"], edge.id)  # both write into one file here
        harness.http_request(edge.admin, "/api/v1/streams/live/r", "DELETE", {"Content-Type": "application/json"})
        entry = self.wait_entry(20, stream="live/r", protocol="relay", kind="play")
        self.assertEqual(entry["node"], "origin-1")
        entry = self.wait_entry(20, stream="live/r", protocol="relay", kind="pull")
        self.assertEqual(entry["node"], edge.id)

    def test_a_stream_that_an_edge_forwards_has_lines_at_both_ends(self):
        edge = self.cluster.edges[0]
        encoder = media.publish(media.clip("small"), edge.url("live/f"), self.folder)
        self.addCleanup(encoder.kill)
        encoder.popen.wait(30)
        for node, protocol, kind in ((edge.id, "rtmp", "publish"), (edge.id, "relay", "push"),
                                     ("origin-1", "relay", "publish")):
            entry = self.wait_entry(20, stream="live/f", node=node, protocol=protocol, kind=kind)
            self.assertGreater(entry["bytes_in"] + entry["bytes_out"], 10000)
        self.assertEqual(len([e for e in self.entries() if e["stream"] == "live/f" and e["protocol"] == "rtmp"]), 1)


class TestBroken(Logged):
    """A pipe that nobody reads stands for a disk that is full or slow."""

    @classmethod
    def setUpClass(cls):
        cls.fifo_folder = tempfile.mkdtemp(prefix="headwater-fifo-")
        cls.addClassCleanup(shutil.rmtree, cls.fifo_folder, ignore_errors=True)
        cls.node_args = {"access_log.file": os.path.join(cls.fifo_folder, "gone", "access.log"),
                         "limits.connections": "0"}
        super().setUpClass()
        cls.path = cls.node_args["access_log.file"]

    def lost(self, reason):
        return self.node.metrics().total("headwater_access_log_lost_total", reason=reason)

    def test_a_file_that_cannot_be_written_is_said_once_and_counted(self):
        self.publish("live/b", loop=True)
        for i in range(5):
            self.get(f"/live/none{i}.flv")
        harness.wait_until(lambda: self.lost("file") >= 5, 10, "lines are counted")
        self.assertEqual(len(self.node.log_lines("the access log cannot be opened")), 1)
        self.get("/live/b.flv", n_bytes=10000)  # nobody waits for it
        os.mkdir(os.path.dirname(self.path))
        self.node.signal(signal.SIGHUP)
        harness.wait_until(lambda: os.path.exists(self.path), 10, "the file")
        self.get("/live/again.flv")
        self.wait_entry(stream="live/again")
        self.node.wait_log("the access log is written again")
        self.assertEqual(len(self.node.log_lines("the access log is written again")), 1)
        # And a disk that is full: the file becomes /dev/full.
        before = self.lost("file")
        os.remove(self.path)
        os.symlink("/dev/full", self.path)
        self.node.signal(signal.SIGHUP)
        self.node.wait_log("configuration reloaded")

        def is_full():
            self.get("/live/full.flv")
            return self.lost("file") > before
        harness.wait_until(is_full, 10, "lines that a full disk did not take")
        self.assertEqual(len(self.node.log_lines("the access log cannot be written")), 1)
        os.remove(self.path)
        self.node.signal(signal.SIGHUP)
        harness.wait_until(lambda: os.path.exists(self.path), 10, "the file is back")
        self.get("/live/back.flv")
        self.wait_entry(stream="live/back")


if __name__ == "__main__":
    harness.main()
