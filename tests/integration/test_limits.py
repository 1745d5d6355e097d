"""Limits of one address, a stream, an app and the node; rules on pages and sites; each told in the protocol's own
words, counted, and logged once a burst."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import balancer
import harness
import media
import rtmp
import websocket

ONE, TWO, THREE = "203.0.113.1", "203.0.113.2", "203.0.113.3"


class Limited(harness.ClusterTest):
    """One node with a live stream in each of two apps; clients come through a trusted proxy as whoever they like."""

    node_args = {}

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="headwater-limits-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.cluster_args = {"origins": 1, "edges": 0, "schedulers": 0, "node_set": {
            "trusted_proxies": balancer.TRUSTED, "hls.idle_ms": "1000", "play_wait_ms": "500", **cls.node_args}}
        super().setUpClass()
        cls.node = cls.cluster.origins[0]
        cls.publishers = [media.publish(media.clip("small"), cls.node.url(name), cls.folder, loop=True)
                          for name in ("live/x", "vip/x")]
        for publisher in cls.publishers:
            cls.addClassCleanup(publisher.kill)
        harness.wait_until(lambda: len(cls.node.streams()) == 2, 10, "both streams are live")

    def setUp(self):
        self.n_log = self.node.log_size()
        self.metrics = self.node.metrics()

    def tearDown(self):
        """What the test opened is closed (addCleanup comes later), so that the next one begins with nobody."""
        self.doCleanups()
        harness.wait_until(lambda: not [s for s in self.node.sessions() if s["kind"] != "publish"], 10,
                           lambda: f"nobody is left, but {self.node.sessions()}")

    def refused(self, limit):
        name, labels = "headwater_limit_refused_total", {"limit": limit}
        return self.node.metrics().total(name, **labels) - self.metrics.total(name, **labels)

    def get(self, path, client, headers=()):
        """An answer that may go on: (socket, status, headers, start of the body)."""
        sock = balancer.connect(self.node.http)
        self.addCleanup(sock.close)
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"X-Forwarded-For: {client}", *headers]
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        data = b""
        while b"\r\n\r\n" not in data:
            got = sock.recv(4096)
            self.assertTrue(got, f"an answer to {path}")
            data += got
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        return sock, int(lines[0].split(" ")[1]), {k.lower(): v for k, v in (x.split(": ", 1) for x in lines[1:])}, body

    def play(self, path, client, n):
        """n players that are let in."""
        got = [self.get(path, client) for _ in range(n)]
        self.assertEqual([answer[1] for answer in got], [200] * n)
        return got

    def assert_refused(self, path, client, status, text):
        _, got, headers, body = self.get(path, client)
        self.assertEqual(got, status)
        self.assertGreater(int(headers["retry-after"]), 0)
        self.assertIn(text, body.decode())

    def rtmp(self, kind, stream, client):
        """(codes, texts) of what an RTMP client is told, once it runs or is refused."""
        app, name = stream.split("/")
        session = rtmp.RtmpSession(kind, "h", app, name)
        sock = balancer.connect(self.node.rtmp, data=balancer.v2(client))
        self.addCleanup(sock.close)
        while session.state != "running" and not any("Failed" in c or "BadName" in c for c in session.codes):
            sock.sendall(bytes(session.out))
            session.out.clear()
            got = sock.recv(65536)
            self.assertTrue(got, session.statuses)
            session.feed(got)
        return session.statuses


class TestCounts(Limited):
    node_args = {"limits.viewers_per_ip": "3", "limits.viewers_per_stream": "5", "limits.publishers_per_ip": "2",
                 "limits.apps": ["vip viewers=4 viewers_per_ip=2 publishers=2"], "limits.hls_sessions_per_ip": "2"}

    def test_viewers_of_one_address(self):
        players = self.play("/live/x.flv", ONE, 3)
        self.assert_refused("/live/x.flv", ONE, 429, "limits.viewers_per_ip): 3")
        self.assert_refused("/live/x.ts", ONE, 429, "limits.viewers_per_ip")
        statuses = self.rtmp("play", "live/x", ONE)
        self.assertEqual(statuses[-1][0], "NetStream.Play.Failed")
        self.assertIn("limits.viewers_per_ip): 3", statuses[-1][1])
        self.play("/live/x.flv", TWO, 1)
        self.assertEqual(self.refused("viewers_per_ip"), 3)
        said = [line for line in self.node.log_lines("viewers are turned away") if "limits.viewers_per_ip" in line]
        total = self.node.metrics().total("headwater_limit_refused_total", limit="viewers_per_ip")
        self.assertTrue(0 < len(said) < total, "one line a burst")
        players.pop()[0].close()
        harness.wait_until(lambda: self.get("/live/x.flv", ONE)[1] == 200, 10, "a place is free again")

    def test_viewers_of_one_stream(self):
        self.play("/live/x.flv", ONE, 3)
        self.play("/live/x.flv", TWO, 2)
        self.assert_refused("/live/x.flv", THREE, 503, "limits.viewers_per_stream): 5")
        self.assertEqual(self.refused("viewers_per_stream"), 1)
        self.play("/vip/x.flv", THREE, 1)  # others have room

    def test_an_app_has_limits_of_its_own(self):
        self.play("/vip/x.flv", ONE, 2)
        self.assert_refused("/vip/x.flv", ONE, 429, "limits.viewers_per_ip): 2")
        self.play("/vip/x.flv", TWO, 2)
        self.assert_refused("/vip/x.flv", THREE, 503, "limits.apps): 4")
        self.assertEqual(self.refused("viewers_per_app"), 1)
        self.play("/live/x.flv", THREE, 1)

    def test_publishers_of_one_address_and_of_an_app(self):
        self.assertIn("NetStream.Publish.Start", self.rtmp("publish", "live/a", ONE)[-1][0])
        self.assertIn("NetStream.Publish.Start", self.rtmp("publish", "live/b", ONE)[-1][0])
        code, text = self.rtmp("publish", "live/c", ONE)[-1]
        self.assertEqual(code, "NetStream.Publish.BadName")
        self.assertIn("limits.publishers_per_ip): 2", text)
        _, status, headers, _ = self.publish_http("/live/d.flv", ONE)
        self.assertEqual((status, headers["retry-after"]), (429, "10"))
        self.assertIn("NetStream.Publish.Start", self.rtmp("publish", "vip/a", TWO)[-1][0])  # vip/x is the other one
        code, text = self.rtmp("publish", "vip/b", TWO)[-1]
        self.assertEqual(code, "NetStream.Publish.BadName")
        self.assertIn("limits.apps): 2", text)
        self.assertEqual((self.refused("publishers_per_ip"), self.refused("publishers_per_app")), (2, 1))

    def publish_http(self, path, client):
        sock = balancer.connect(self.node.http, data=(f"POST {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n"
                                                      "Transfer-Encoding: chunked\r\n\r\n").encode())
        self.addCleanup(sock.close)
        head = harness.read_head(sock).decode().split("\r\n\r\n")[0].split("\r\n")
        return sock, int(head[0].split(" ")[1]), {k.lower(): v for k, v in (x.split(": ", 1) for x in head[1:])}, b""

    def test_made_up_hls_sessions(self):
        harness.wait_until(lambda: self.get("/live/x/fmp4.m3u8", THREE)[1] == 200, 15, "segments")
        for i in range(2):
            self.assertEqual(self.get(f"/live/x/fmp4.m3u8?session=h-00000000000{i}", ONE)[1], 200)
        for i in range(2, 5):
            self.assert_refused(f"/live/x/fmp4.m3u8?session=h-00000000000{i}", ONE, 429,
                                "limits.hls_sessions_per_ip): 2")
        self.assertEqual(self.get("/live/x/fmp4.m3u8?session=h-000000000001", ONE)[1], 200)  # who is in goes on
        self.assertEqual(self.get("/live/x/fmp4.m3u8?session=h-000000000009", TWO)[1], 200)
        self.assertEqual(self.refused("hls_sessions_per_ip"), 3)
        mine = [s for s in self.node.sessions() if s["protocol"] == "hls" and not s["peer"].startswith(THREE)]
        self.assertEqual(len(mine), 3)

    def test_who_is_no_proxy_cannot_be_somebody_else(self):
        def play(i):
            sock = balancer.connect(self.node.http, balancer.STRANGER, (
                f"GET /live/x.flv HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.{i}\r\n"
                f"Forwarded: for=192.0.2.{i}\r\nX-Real-IP: 192.0.2.{i}\r\n\r\n").encode())
            self.addCleanup(sock.close)
            return int(sock.recv(4096).split(b" ")[1])
        self.assertEqual([play(i) for i in range(5)], [200, 200, 200, 429, 429])


class TestHlsIds(Limited):
    node_args = {"limits.viewers_per_stream": "4", "limits.hls_sessions_per_ip": "2", "hls.idle_ms": "4000"}

    def test_a_session_that_is_passed_on_is_that_of_another_viewer(self):
        for stream in ("live/x", "vip/x"):
            self.assertEqual(self.get(f"/{stream}/fmp4.m3u8", THREE)[1], 200)
        harness.wait_until(lambda: not [s for s in self.node.sessions() if s["kind"] == "play"], 15, "it has left")
        path, vip = ("/live/x/fmp4.m3u8?session=h-0000000000aa", "/vip/x/fmp4.m3u8?session=h-0000000000a")
        mine, *others = clients = [f"203.0.113.2{i}" for i in range(4)]
        self.assertEqual([self.get(path, client)[1] for client in (*clients, *clients)], [200] * 8)
        sessions = [s for s in self.node.sessions() if s["kind"] == "play"]
        self.assertEqual(sorted(s["peer"] for s in sessions), [f"{client}:0" for client in clients])
        self.assertEqual(len({s["id"] for s in sessions}), 4)
        self.assert_refused(path, "203.0.113.25", 503, "limits.viewers_per_stream): 4")
        # For another stream it is another viewer, too, of whom an address may have two.
        self.assertEqual(self.get(vip + "a", mine)[1], 200)
        self.assert_refused(vip + "b", mine, 429, "limits.hls_sessions_per_ip): 2")
        # What an operator has ended has ended for all who have that id.
        self.assertEqual(harness.http_request(self.node.admin, "/api/v1/sessions/h-0000000000aa", method="DELETE",
                                              headers={"Content-Type": "application/json"})[0], 204)
        self.assertEqual([self.get(path, client)[1] for client in clients], [403] * 4)


class TestNode(Limited):
    node_args = {"limits.viewers": "2", "limits.publishers": "3"}

    def test_who_floods_the_admin_port_has_its_own_connections_alone(self):
        held = []
        self.addCleanup(lambda: [sock.close() for sock in held])
        for _ in range(256):  # ADMIN_MAX_PER_IP
            held.append(balancer.connect(self.node.admin, data=balancer.v2(ONE)))
        harness.wait_until(lambda: self.admin_status(ONE) is None, 10, "one more is closed")
        self.assertEqual(self.admin_status(TWO), 200)
        refused = harness.Metrics(harness.http_request(self.node.admin, "/metrics")[2].decode())
        self.assertGreaterEqual(refused.total("headwater_connections_refused_total", reason="admin_per_ip"), 1)
        held.pop().close()
        harness.wait_until(lambda: self.admin_status(ONE) == 200, 10, "a place is free again")

    def admin_status(self, client):
        """None: closed without an answer."""
        sock = balancer.connect(self.node.admin, data=balancer.v2(client))
        try:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            head = sock.recv(100).split(b" ")
            return int(head[1]) if len(head) > 1 else None
        except OSError:
            return None
        finally:
            sock.close()

    def test_viewers_and_publishers_of_the_node(self):
        self.play("/live/x.flv", ONE, 1)
        self.play("/live/x.flv", TWO, 1)
        self.assert_refused("/live/x.flv", THREE, 503, "limits.viewers): 2")
        self.assertIn("NetStream.Publish.Start", self.rtmp("publish", "live/a", ONE)[-1][0])
        code, text = self.rtmp("publish", "live/b", TWO)[-1]
        self.assertEqual(code, "NetStream.Publish.BadName")
        self.assertIn("limits.publishers): 3", text)


class TestBandwidth(Limited):
    node_args = {"limits.egress_bps_per_ip": "20000", "limits.ingress_bps": "2000000", "limits.ingress_s": "2",
                 "limits.apps": ["vip egress_bps=20000 egress_bps_per_ip=1000000000"]}

    def test_an_address_that_gets_enough_gets_no_further_viewer(self):
        sock = self.play("/live/x.flv", ONE, 1)[0][0]
        got = [0]

        def refused():
            got[0] += len(sock.recv(65536))
            return self.get("/live/x.flv", ONE)[1] == 429
        harness.wait_until(refused, 15, "429 when the rate was measured")
        self.assertEqual(self.get("/live/x.flv", TWO)[1], 200)
        self.assertGreater(len(sock.recv(65536)), 0)  # who is in goes on
        self.assertGreater(self.refused("egress_per_ip"), 0)

    def test_an_app_that_gets_enough_gets_no_further_viewer(self):
        sock = self.play("/vip/x.flv", ONE, 1)[0][0]

        def refused():
            sock.recv(65536)
            return self.get("/vip/x.flv", TWO)[1] == 503
        harness.wait_until(refused, 15, "503 when the rate was measured")
        self.assertGreater(self.refused("egress_per_app"), 0)

    def test_a_publisher_that_sends_too_much_is_closed(self):
        encoder = media.publish(media.clip("fat"), self.node.url("live/fat"), self.folder)
        self.addCleanup(encoder.kill)
        self.node.wait_log("publisher sends too much", 20, self.n_log)
        line = self.node.wait_log("limits.ingress_bps", 10, self.n_log)
        self.assertIn("live/fat", line)
        harness.wait_until(lambda: not encoder.is_alive(), 20, "the encoder was closed")
        encoder.expect_death = True
        self.assertEqual(self.refused("ingress"), 1)
        self.assertEqual(len(self.node.streams()), 3)
        self.assertTrue(all(p.is_alive() for p in self.publishers), "others go on")


class TestSites(Limited):
    """Pages (Referer, Origin) and what browsers may do with answers (CORS)."""

    node_args = {"http.cors_origins": ["https://a.example", "http://b.example:8080"],
                 "access.referrers": ["vip allow=a.example|*.b.example none=false", "other allow=a.example"]}

    def status(self, path, **headers):
        return self.get(path, ONE, [f"{k}: {v}" for k, v in headers.items()])[1]

    def wait_hls(self, stream):
        """Segments are cut from the first request on, and the wait for a stream is short here."""
        for path in (f"/{stream}.m3u8", f"/{stream}/fmp4.m3u8", f"/{stream}/ts.m3u8"):
            harness.wait_until(lambda path=path: self.status(path, Referer="https://a.example") == 200, 15, path)

    def test_pages_that_may_show_a_stream(self):
        self.wait_hls("vip/x")
        for page, status in (("https://a.example/page?x=1", 200), ("http://A.EXAMPLE:99/", 200), ("https://x.b.example", 200),
                             ("https://b.example/", 403), ("https://evila.example/", 403), ("https://a.example.evil/", 403),
                             ("https://evil/?https://a.example/", 403), ("nonsense", 403), ("", 403)):
            for path in ("/vip/x.flv", "/vip/x.ts", "/vip/x.m3u8", "/vip/x/fmp4.m3u8"):
                self.assertEqual(self.status(path, **({"Referer": page} if page else {})), status, f"{page} {path}")
        self.assertEqual(self.status("/live/x.flv", Referer="https://evil/"), 200)  # no rule
        self.assertEqual(self.status("/vip/x.flv", Origin="https://a.example"), 200)
        self.assertEqual(self.status("/vip/x.flv", Origin="https://evil"), 403)
        self.assertEqual(self.status("/vip/x.flv", Origin="null"), 403)
        self.assertEqual(self.status("/other/x.flv"), 404)  # "none" is true there: it may wait for the stream
        total = "headwater_access_refused_total"
        self.assertGreater(self.node.metrics().total(total, check="referrer"), self.metrics.total(total, check="referrer"))

    def test_segments_are_for_these_pages_alone(self):
        page = "Referer: https://a.example/"
        playlist = harness.wait_until(lambda: re.search(r'^(s[^\s"]+)$', self.get_all("/vip/x/fmp4.m3u8", page), re.M),
                                      15, "a segment")
        path = f"/vip/x/{playlist[1]}"
        self.assertEqual(self.get(path, ONE, [page])[1], 200)
        self.assertEqual(self.get(path, ONE)[1], 403)
        self.assertEqual(self.get(path, ONE, ["Referer: https://evil/"])[1], 403)

    def get_all(self, path, *headers):
        sock, status, fields, body = self.get(path, ONE, headers)
        while len(body) < int(fields.get("content-length", 0)):
            body += sock.recv(65536)
        return body.decode() if status == 200 else ""

    def test_websockets_say_their_site(self):
        good = websocket.WebSocket(self.node.http, "/vip/x.flv", origin="https://a.example")
        self.addCleanup(good.close)
        self.assertEqual(good.open().status, 101)
        bad = websocket.WebSocket(self.node.http, "/vip/x.flv", origin="https://evil")
        self.addCleanup(bad.close)
        self.assertEqual(bad.open().status, 403)

    def test_answers_name_the_site_that_may_have_them(self):
        self.wait_hls("live/x")
        for path in ("/live/x.flv", "/live/x.ts", "/live/x.mp4", "/live/x.m3u8", "/live/x/ts.m3u8", "/live/nothing.flv",
                     "/live/x.nonsense"):
            for origin in ("https://a.example", "http://b.example:8080"):
                headers = self.get(path, ONE, [f"Origin: {origin}"])[2]
                self.assertEqual(headers.get("access-control-allow-origin"), origin, path)
                self.assertIn("Origin", headers["vary"])
            for origin in ("https://evil", "http://a.example", "null", None):
                headers = self.get(path, ONE, [f"Origin: {origin}"] if origin else [])[2]
                self.assertNotIn("access-control-allow-origin", headers, f"{path} {origin}")
                self.assertIn("Origin", headers["vary"])

    def test_preflights(self):
        ask = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
        status, headers, _ = harness.http_request(self.node.http, "/live/x.flv", "OPTIONS",
                                                  {"Origin": "https://a.example", **ask})
        self.assertEqual((status, headers["access-control-allow-origin"], headers["access-control-allow-headers"]),
                         (204, "https://a.example", "range"))
        status, headers, _ = harness.http_request(self.node.http, "/live/x.flv", "OPTIONS",
                                                  {"Origin": "https://evil", **ask})
        self.assertEqual(status, 204)
        self.assertFalse([name for name in headers if name.startswith("access-control-")])


class TestReload(unittest.TestCase):
    """Rules change with a SIGHUP; what is wrong is named before anything starts."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="headwater-limits-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = os.path.join(self.folder, "node.json")

    def write(self, **sets):
        with open(self.path, "w") as file:
            json.dump({**sets, "play_wait_ms": 200}, file)

    def status(self, *headers):
        sock = balancer.connect(self.http, data=("\r\n".join([
            "GET /live/x.flv HTTP/1.1", "Host: a", *headers]) + "\r\n\r\n").encode())
        with sock:
            return int(harness.read_head(sock).split(b" ")[1])

    def test_rules_change_with_a_reload(self):
        self.write()
        sets = {key: "127.0.0.1:0" for key in ("rtmp.listen", "http.listen", "admin.listen")}
        node = harness.program("headwater-node", sets, self.folder, extra=["-c", self.path])
        self.addCleanup(lambda: self.assertEqual(node.problems(node.stop()), []))
        self.http = harness.parse_address(node.wait_ready()["http"])
        evil = ("Referer: https://evil/",)
        self.assertEqual(self.status(*evil), 404)
        for sets, want in (({"access": {"referrers": ["live allow=good"]}, "trusted_proxies": [balancer.TRUSTED]}, 403),
                           ({"access": {"referrers": ["* allow=evil"]}, "limits": {"apps": ["live viewers=1"]}}, 404),
                           ({"access": {"referrers": ["* none=false"]}}, 403), ({}, 404)):
            mark = node.log_size()
            self.write(**sets)
            node.signal(signal.SIGHUP)
            node.wait_log("configuration reloaded", 5, mark)
            self.assertEqual(self.status(*evil), want, sets)

    def test_what_is_wrong_is_named(self):
        for key, value, text in (("trusted_proxies", "10.0.0.0/33", "trusted_proxies[0]"),
                                 ("trusted_proxies_header", "x-real-ip", "trusted_proxies_header"),
                                 ("limits.apps", "live viewers=many", "limits.apps[0]"),
                                 ("limits.apps", "live,live", "twice"), ("limits.apps", "live spectators=3", "spectators"),
                                 ("access.referrers", "live allow", "access.referrers[0]"),
                                 ("http.cors_origins", "a.example", "http.cors_origins"),
                                 ("http.cors_origins", "none", "http.cors_origins")):
            done = subprocess.run([os.path.join(harness.BIN_DIR, "headwater-node"), "--check-config", "--set",
                                   f"{key}={value}"], capture_output=True, text=True, timeout=20)
            self.assertNotEqual(done.returncode, 0, key)
            self.assertIn(text, done.stderr)


if __name__ == "__main__":
    harness.main()
