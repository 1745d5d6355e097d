"""headwater-tool relay, record, delay and route against real nodes."""

import contextlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import certs
import harness
import media
import tools


@contextlib.contextmanager
def circle():
    """URL of a server that always sends back to itself."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        url = "http://127.0.0.1:%d/live/x.flv" % server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield url
        finally:
            server.shutdown()
            thread.join()


class RelayTest(tools.ToolTest):
    cluster_args = {**tools.ToolTest.cluster_args, "origins": 3}

    def setUp(self):
        super().setUp()
        self.other = self.cluster.nodes[1]
        self.clip = media.clip("small", 2)

    def relay(self, stream, *targets, more=()):
        return self.start("relay", self.node.url(stream), *targets, *more, "--json", "-")

    def test_one_stream_goes_to_many_and_those_that_fail_hurt_nobody(self):
        push = self.publish(self.clip, "live/a")
        with socket.create_server(("127.0.0.1", 0)) as frozen:
            stuck = "rtmp://127.0.0.1:%d/live/a" % frozen.getsockname()[1]
            refused = f"rtmp://127.0.0.1:{harness.free_port()}/live/a"
            relay = self.relay("live/a", self.other.url("live/a1"), stuck, refused, self.other.url("live/a2"),
                               more=("--timeout", "1"))
            for stream in ("live/a1", "live/a2"):
                self.wait_stream(stream, self.other)
            code, out, err = tools.run("pull", self.other.url("live/a1"), self.path("a.flv"), "--seconds", "2")
            self.assertEqual(code, 0, err)
            self.assertEqual(tools.analyze(self.path("a.flv"))[0], 0)
            code, out, err = relay.interrupt()
        self.assertEqual(code, 1, err)  # two had nothing
        targets = json.loads(out)["targets"]
        self.assertEqual([t["connected"] for t in targets], [1, 0, 0, 1])
        self.assertEqual([t["frames"] > 50 for t in targets], [True, False, False, True])
        self.assertEqual([t["dropped"] for t in targets], [0, 0, 0, 0])
        self.assertIn("says nothing for 1.0 s", targets[1]["last_error"])
        self.assertIn("Connection refused", targets[2]["last_error"])
        push.interrupt()

    def test_one_that_freezes_hurts_nobody(self):
        frozen = self.cluster.nodes[2]
        push = self.publish(media.clip("fat", 2), "live/f", "--speed", "8")
        relay = self.relay("live/f", frozen.url("live/f"), self.other.url("live/f"), more=("--timeout", "1"))
        for node in (frozen, self.other):
            self.wait_stream("live/f", node)
        path = self.path("f.ts")
        pull = self.start("pull", self.other.url("live/f"), path)
        harness.wait_until(lambda: os.path.exists(path) and os.path.getsize(path) > 0, what="media")
        frozen.signal(signal.SIGSTOP)
        try:
            self.assertIn(b"takes nothing of what is sent for 1.0 s", relay.popen.stderr.readline())
            code, _, err = pull.interrupt()
        finally:
            frozen.signal(signal.SIGCONT)
        self.assertEqual(code, 0, err)
        code, tracks, _ = tools.analyze(self.path("f.ts"))
        self.assertEqual((code, tracks["video"]["gaps"]), (0, 0))
        self.assertLess(tracks["video"]["longest_step_ms"], 120)  # the clip's end, where its sound is longer, is 83
        code, out, err = relay.interrupt()
        self.assertEqual([t["dropped"] > 0 for t in json.loads(out)["targets"]], [True, False])
        push.interrupt()

    def test_both_sides_may_come_back(self):
        push = self.publish(self.clip, "live/b")
        relay = self.relay("live/b", self.other.url("live/b"))
        self.wait_stream("live/b", self.other)
        session = [s for s in self.other.sessions() if s["stream"] == "live/b" and s["kind"] == "publish"][0]["id"]
        status = harness.http_request(self.other.admin, f"/api/v1/sessions/{session}", method="DELETE",
                                      headers={"Content-Type": "application/json"})[0]
        self.assertEqual(status, 204)
        harness.wait_until(lambda: [s for s in self.other.sessions()
                                    if s["stream"] == "live/b" and s["kind"] == "publish" and s["id"] != session])
        push.interrupt()
        harness.wait_until(lambda: "live/b" not in [s["name"] for s in self.node.streams()])
        push = self.publish(self.clip, "live/b")
        # Time goes on: what comes now is later than what came before.
        code, _, err = tools.run("pull", self.other.url("live/b"), self.path("b.flv"), "--seconds", "1")
        self.assertEqual(code, 0, err)
        self.assertEqual(tools.analyze(self.path("b.flv"))[0], 0)
        code, out, err = relay.interrupt()
        self.assertEqual(code, 0, err)
        figures = json.loads(out)
        self.assertGreaterEqual(figures["source"]["connected"], 2)
        self.assertGreaterEqual(figures["targets"][0]["connected"], 2)
        push.interrupt()

    def test_once_ends_with_the_stream(self):
        relay = self.relay("live/c", self.other.url("live/c"), more=("--once",))
        harness.wait_until(lambda: self.node.sessions())
        self.assertEqual(tools.run("push", self.clip, self.node.url("live/c"))[0], 0)
        code, out, err = relay.finish()
        self.assertEqual(code, 0, err)
        figures = json.loads(out)
        self.assertEqual(figures["source"]["connected"], 1)
        # It is published once the source is there: what went by until then is not in it.
        self.assertGreater(figures["targets"][0]["frames"], figures["frames"] // 3)


class RecordTest(tools.ToolTest):
    def setUp(self):
        super().setUp()
        self.clip = media.clip("small", 2)
        self.list_path = os.path.join(self.path("hls"), "index.m3u8")

    def lines(self):
        with open(self.list_path, encoding="utf-8") as file:
            return file.read().split("\n")

    def segments(self):
        return [line for line in self.lines() if line.endswith(".ts")] if os.path.exists(self.list_path) else []

    def frames(self):
        done = subprocess.run([harness.tool("ffmpeg"), "-nostdin", "-v", "error", "-xerror", "-i", self.list_path, "-map",
                               "0:v", "-f", "framemd5", "-"], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return len([line for line in done.stdout.split("\n") if line and line[0] != "#"])

    def test_it_plays_while_it_grows_and_ends_with_the_stream(self):
        record = self.start("record", self.node.url("live/r"), self.path("hls"), "--segment-s", "1", "--json", "-")
        harness.wait_until(lambda: self.node.sessions())
        push = self.start("push", media.clip("small", 4), self.node.url("live/r"))
        harness.wait_until(lambda: len(self.segments()) >= 2)
        self.assertNotIn("#EXT-X-ENDLIST", self.lines())
        self.assertIn("#EXT-X-PLAYLIST-TYPE:EVENT", self.lines())
        for name in self.segments():
            self.assertEqual(tools.analyze(os.path.join(self.path("hls"), name))[0], 0)
        self.assertEqual(push.finish()[0], 0)
        code, out, err = record.finish()
        self.assertEqual((code, json.loads(out)["segments"]), (0, 4), err)
        self.assertEqual(self.lines()[-2:], ["#EXT-X-ENDLIST", ""])
        self.assertEqual(self.frames(), 100)
        self.assertEqual(sorted(os.listdir(self.path("hls"))), sorted(self.segments() + ["index.m3u8"]))
        code, _, err = tools.run("record", self.node.url("live/r"), self.path("hls"))
        self.assertEqual((code, "is there already" in err), (2, True), err)

    def test_a_window_forgets_what_is_old_and_a_signal_ends_the_list(self):
        push = self.publish(self.clip, "live/w", "--speed", "4")
        record = self.start("record", self.url("live/w", ".ts"), self.path("hls"), "--segment-s", "1", "--window", "2")
        harness.wait_until(lambda: "#EXT-X-MEDIA-SEQUENCE:4" in (self.lines() if self.segments() else ()))
        self.assertEqual(len(self.segments()), 2)
        code, _, err = record.interrupt()
        self.assertEqual(code, 0, err)
        self.assertIn("#EXT-X-ENDLIST", self.lines())
        self.assertLessEqual(len(os.listdir(self.path("hls"))), 2 + 3 + 1)
        self.assertGreater(self.frames(), 25)
        push.interrupt()


class ClusterToolTest(tools.ToolTest):
    cluster_args = {"origins": 1, "edges": 1, "schedulers": 1}

    def test_delay_is_measured_through_an_edge(self):
        edge = self.cluster.edges[0]
        code, out, err = tools.run("delay", media.clip("small", 2), self.node.url("live/d"), edge.url("live/d"),
                                   edge.url("live/d", "http"), self.url("live/d", ".ts"), "--seconds", "1.5",
                                   "--warmup", "0.2", "--json", "-")
        self.assertEqual(code, 0, err)
        players = json.loads(out)["players"]
        self.assertEqual([p["url"].split(":")[0] for p in players], ["rtmp", "http", "http"])
        for player in players:
            self.assertGreater(player["video_ms"]["n"], 20)
            self.assertLessEqual(player["video_ms"]["p50"], player["video_ms"]["p99"])
            self.assertLess(player["video_ms"]["p50"], 2000)
        code, out, err = tools.run("delay", media.clip("small", 2), self.node.url("live/d2"), edge.url("live/d2"),
                                   "--seconds", "0.5", "--warmup", "0")
        self.assertEqual(code, 0, err)
        self.assertIn("video      p50 ", out.decode())

    def test_redirects_are_followed_but_not_for_ever(self):
        push = self.publish(media.clip("small", 2), "live/far")
        self.cluster.wait_route("live/far")
        code, out, err = tools.run("pull", self.cluster.entry("live/far"), self.path("far.flv"), "--seconds", "1")
        self.assertEqual(code, 0, err)
        self.assertEqual(tools.analyze(self.path("far.flv"))[0], 0)
        push.interrupt()
        with circle() as url:
            code, _, err = tools.run("pull", url, self.path("round.flv"))
        self.assertEqual((code, "too many redirects" in err), (1, True), err)

    def test_route_says_why(self):
        to = "http://%s:%d" % self.cluster.scheduler.http
        args = ("--to", to, "--token-file", self.cluster.token_path)
        code, out, err = tools.run("route", "live/x", *args)
        self.assertEqual(code, 0, err)
        rows = [line.split() for line in out.decode().split("\n")]
        self.assertEqual(rows[0][0], "decision:")
        table = {row[1]: row for row in rows if len(row) > 5 and row[0].isdigit()}
        self.assertEqual(set(table), {node.id for node in self.cluster.nodes})
        self.assertIn("taken", " ".join(table[self.cluster.edges[0].id]))
        code, out, _ = tools.run("route", "live/x", *args, "--intent", "publish", "--json", "-")
        answer = json.loads(out)
        self.assertEqual((code, [c["node"] for c in answer["candidates"] if c["taken"]]), (0, [self.node.id]))
        code, _, err = tools.run("route", "bad name", *args)
        self.assertEqual((code, "HTTP status 400" in err), (1, True), err)
        code, _, err = tools.run("route", "live/x", "--to", f"http://127.0.0.1:{harness.free_port()}", "--timeout", "2")
        self.assertEqual(code, 1, err)


class TlsTest(tools.ToolTest):
    @classmethod
    def setUpClass(cls):
        cls.tls_folder = tempfile.mkdtemp(prefix="headwater-test-")
        cls.addClassCleanup(shutil.rmtree, cls.tls_folder)
        cls.ca = certs.Authority(cls.tls_folder, "test-ca")
        pair = cls.ca.issue("localhost", ["DNS:localhost", "IP:127.0.0.1"])
        cls.cluster_args = {"origins": 1, "edges": 0, "schedulers": 0, "node_set": {
            "play_wait_ms": "3000", "publisher_grace_ms": "300", "rtmps.listen": "127.0.0.1:0",
            "https.listen": "127.0.0.1:0", "tls.certificates": ["=".join(pair)]}}
        super().setUpClass()

    def test_servers_are_verified(self):
        clip, url = media.clip("small", 2), self.node.url("live/tls", "rtmps")
        code, _, err = tools.run("push", clip, url)
        self.assertEqual((code, "certificate verify failed" in err), (1, True), err)
        push = self.start("push", clip, url, "--loop", "--ca", self.ca.path)
        self.wait_stream("live/tls")
        for scheme, trust in (("rtmps", ("--ca", self.ca.path)), ("https", ("--insecure",))):
            code, _, err = tools.run("pull", self.node.url("live/tls", scheme), self.path("t.flv"), "--seconds", "1", *trust)
            self.assertEqual(code, 0, err)
            self.assertEqual(tools.analyze(self.path("t.flv"))[0], 0)
        code, _, err = tools.run("pull", self.node.url("live/tls", "https"), self.path("t.flv"))
        self.assertEqual((code, "certificate verify failed" in err), (1, True), err)
        code, _, err = tools.run("pull", url, self.path("t.flv"), "--ca", self.path("none.pem"))
        self.assertEqual((code, "none.pem" in err), (2, True), err)
        self.assertEqual(push.interrupt()[0], 0)


if __name__ == "__main__":
    harness.main()
