"""Everything wrong that a peer can send: closed or refused with the protocol's own words, one log line,
one count in a metric, and nobody else notices."""

import os
import re
import time

import amf0
import flv
import harness
import media
import rtmp
import swarm
from cycles import n_descriptors

HANDSHAKE = rtmp.handshake_c0c1() + bytes(1536)  # C2 before S1 was seen: servers do not check it
LIMITS = {"limits.handshake_ms": "1000", "limits.idle_ms": "1500", "limits.http_head_ms": "1000",
          "limits.http_idle_ms": "1500", "play_wait_ms": "400", "publish_stall_ms": "2000"}


def connect_command(app="live"):
    return rtmp.command("connect", 1, {"app": app, "tcUrl": f"rtmp://h/{app}"}, chunk_size=128)


def player_that_sends(kind, body):
    return (HANDSHAKE + connect_command() + rtmp.command("createStream", 2, None, chunk_size=128)
            + rtmp.command("play", 3, None, "test_rtmp_attacks", stream=1, chunk_size=128)
            + rtmp.message(kind, 0, 1, body, 4, 128))


def nested_arrays(depth):
    return amf0.encode("connect", 1) + b"\x0a\0\0\0\x01" * depth + b"\x05"


RTMP_ATTACKS = {
    "another protocol": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(1537),
    "an unknown version": b"\x09" + bytes(1536 * 2),
    "a chunk stream that opens with type 3": HANDSHAKE + b"\xc5" + bytes(64),
    "a chunk size of zero": HANDSHAKE + rtmp.message(1, 0, 0, bytes(4), 2),
    "a command of 16 MB": HANDSHAKE + b"\x03\0\0\0\xff\xff\xff\x14\0\0\0\0" + bytes(70000),
    "too many chunk streams": HANDSHAKE + b"".join(
        bytes([0, i]) + b"\0\0\0\0\x01\x00\x14\0\0\0\0" + bytes(128) for i in range(200)),
    "arrays nested 2,000 deep": HANDSHAKE + rtmp.message(20, 0, 0, nested_arrays(2000), 3, 128),
    "an array of 4 G members": HANDSHAKE + rtmp.message(
        20, 0, 0, amf0.encode("connect", 1) + b"\x0a\xff\xff\xff\xff", 3, 128),
    "a string longer than its message": HANDSHAKE + rtmp.message(
        20, 0, 0, amf0.encode("connect", 1) + b"\x0c\xff\xff\xff\xffabc", 3, 128),
    "an object that never ends": HANDSHAKE + rtmp.message(
        20, 0, 0, amf0.encode("connect", 1) + b"\x03\0\x03app", 3, 128),
    "a command that is no AMF": HANDSHAKE + rtmp.message(20, 0, 0, b"\xee" * 100, 3, 128),
    "video before connect": HANDSHAKE + rtmp.message(9, 0, 1, b"\x17\x01" + bytes(50), 6, 128),
    "audio before publish": HANDSHAKE + connect_command() + rtmp.command("createStream", 2, None,
                                                                        chunk_size=128)
    + rtmp.message(8, 0, 1, b"\xaf\x01" + bytes(50), 4, 128),
    "audio behind connect": HANDSHAKE + connect_command() + rtmp.message(8, 0, 0, b"\xaf\x01" + bytes(50), 4, 128),
    "a player that sends audio": player_that_sends(flv.AUDIO, b"\xaf\x01" + bytes(50)),
    "a player that sends video": player_that_sends(flv.VIDEO, b"\x17\x01" + bytes(50)),
}

# Each gets a status of 400 to 499 (or 501, 505), and no second answer on that connection.
HTTP_ATTACKS = {
    "length and chunks": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "a negative length": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a length with a sign": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nabcde",
    "an unknown coding": b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
    "a coding behind chunked": b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    "a space before the colon": b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c\r\n\r\n",
    "a zero byte in a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n",
    "a bare CR in a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "a version of the future": b"GET /healthz HTTP/7.1\r\nHost: x\r\n\r\n",
    "no request at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n",
    "a head of 1 MB": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * (1 << 20) + b"\r\n\r\n",
}

BAD_PATHS = ["/live/../secret.flv", "/live/..%2fsecret.flv", "/%2e%2e/x.flv", "/live/%00.flv",
             "/live/a%0ab.flv", "/live/.hidden.flv", "//.flv", "/live/.flv", "/.flv", "/live.flv",
             "/a/b/c/d.flv", f"/live/{'x' * 129}.flv", f"/{'x' * 129}/x.flv", "/v1/x.flv",
             "/live/a/index.m3u", "/live/a/s1-1.exe", "/hls/a/playlist.m3u8.exe",
             "/live/a%2fb.flv", "/live/%zz.flv", "/live/x.exe", "/live/%ff%fe.flv", "/live/a b.flv"]

BAD_NAMES = [("live", ".."), ("..", "x"), ("live", ".x"), ("live", ""), ("", "x"), ("live", "x" * 129),
             ("x" * 129, "x"), ("live", "a\x01b"), ("live", "a\nb"), ("live", "a b"), ("live", "a/b"),
             ("live", "../canary"), ("live", "../../canary"), ("a/b/c", "x"), ("api", "x"), ("metrics", "x"), ("live", "\udcff\udcfe"), ("live/..", "x")]


def many_tracks(n):
    """E-RTMP v2 multitrack, ManyTracks, CodedFramesX: n tracks of one byte."""
    return b"\xa6\x13hvc1" + b"".join(bytes([i, 0, 0, 1, 0x26]) for i in range(n))


# What a publisher sends after its sequence headers, and the reason why it is cut.
MEDIA_ATTACKS = {
    "a picture of one byte": (flv.VIDEO, b"\x17", "shorter than 5 bytes"),
    "sound of one byte": (flv.AUDIO, b"\xaf", "without its packet type"),
    "an enhanced picture of one byte": (flv.VIDEO, b"\x90", "over the end"),
    "one track many times": (flv.VIDEO, b"\xa6\x13hvc1" + b"\x01\0\0\x01\x26" * 9, "twice"),
    "HEVC that none describes": (flv.VIDEO, b"\x93hvc1\0\0\0\x03\x40\x01\x0c", "without a sequence header"),
    "a NAL unit longer than its frame": (flv.VIDEO, b"\x17\x01\0\0\0\0\0\0\xff\x65\x01", "over the end"),
    "a length beyond every tag": (flv.VIDEO, b"\x17\x01\0\0\0\x7f\xff\xff\xff\x65", "over the end"),
    "start codes instead of lengths": (flv.VIDEO, b"\x17\x01\0\0\0\0\0\0\x01\x65\x88\x84\0\0\0\x01\x41", "NAL unit"),
    "a NAL unit that begins with a 1": (flv.VIDEO, b"\x17\x01\0\0\0\0\0\0\x02\xe5\x01", "must be 0"),
    "a picture without data": (flv.VIDEO, b"\x27\x01\0\0\0", "without data"),
    "ADTS where raw AAC is promised": (flv.AUDIO, b"\xaf\x01\xff\xf1\x50\x80\x01\x3f\xfc\x21\x10", "ADTS"),
    "64 tracks": (flv.VIDEO, many_tracks(64), "more than 16 tracks"),
    "a track longer than its message": (flv.VIDEO, b"\x96\x13hvc1\x01\0\xff\xff\x26", "over the end"),
    "tracks inside tracks": (flv.VIDEO, b"\x96\x16hvc1\x01\0\0\x01\x26", "multitrack inside multitrack"),
    "ModEx longer than its message": (flv.VIDEO, b"\x97\xff\xff\xff\x03hvc1\x26", "ModEx"),
    "an enhanced header cut short": (flv.AUDIO, b"\x91Op", "over the end"),
}


class BadInputTest(harness.ClusterTest):
    """Against an origin that has, all the while, a good publisher and good viewers."""

    cluster_args = {"edges": 1, "node_set": LIMITS}

    def setUp(self):
        self.node = self.cluster.origins[0]
        self.flock = swarm.Swarm()
        self.addCleanup(self.flock.__exit__)
        stream = f"live/{self._testMethodName[:100]}"
        publisher = self.flock.publish(self.node.rtmp, stream, swarm.Clip(media.clip("small")))
        self.flock.until(lambda: publisher.is_running, 5, "the good publisher is accepted")
        edge = self.cluster.edges[0]
        self.good = [self.flock.play_rtmp(self.node.rtmp, stream), self.flock.play_flv(self.node.http, stream),
                     self.flock.play_rtmp(edge.rtmp, stream)]
        self.flock.until(lambda: all(v.log.n_frames > 20 for v in self.good), 15, "good viewers play")

    def tearDown(self):
        seen = [v.log.n_frames for v in self.good]
        self.flock.until(lambda: all(v.closed or v.log.n_frames > n + 20 for v, n in zip(self.good, seen)),
                         10, "good viewers play on")
        self.assert_clean(*self.good)

    def lines_about(self, conn, start):
        """Log lines that name the peer and are not mere progress."""
        peer = f"127.0.0.1:{conn.local_port}"
        return [line for line in self.node.log(start).splitlines()
                if f"peer={peer}" in line and " debug " not in line]

    def assert_closed_with_one_line(self, conn, start, within_s, metric, **labels):
        """The connection ends, one line says why, one metric counts it."""
        before = self.before
        self.flock.until(lambda: conn.closed, within_s, "the connection is closed")
        harness.wait_until(lambda: self.lines_about(conn, start), 3, "a log line names the peer")
        lines = [line for line in self.lines_about(conn, start) if "msg=play " not in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], r"reason=|error=|msg=", lines[0])
        now = self.node.metrics()
        self.assertEqual(now.total(metric, **labels), before.total(metric, **labels) + 1,
                         f"{metric} {labels}: {lines}")

    def attack(self, address, data):
        self.before = self.node.metrics()
        start = self.node.log_size()
        return self.flock.raw(address, data), start

    def test_rtmp_attacks(self):
        for what, data in RTMP_ATTACKS.items():
            with self.subTest(what=what):
                conn, start = self.attack(self.node.rtmp, data)
                self.assert_closed_with_one_line(conn, start, 0.9, "headwater_protocol_errors_total",
                                                 protocol="rtmp")

    def test_http_attacks(self):
        for what, data in HTTP_ATTACKS.items():
            with self.subTest(what=what):
                conn, start = self.attack(self.node.http, data)
                self.assert_closed_with_one_line(conn, start, 3, "headwater_http_bad_requests_total")
                answer = bytes(conn.received)
                self.assertRegex(answer[:12], rb"HTTP/1\.[01] (4\d\d|501|505)")
                self.assertEqual(len(re.findall(rb"HTTP/1\.[01] \d\d\d ", answer)), 1, "nothing smuggled")

    def test_http_paths_outside_the_tree(self):
        for path in BAD_PATHS:
            with self.subTest(path=path):
                conn = self.flock.raw(self.node.http, f"GET {path} HTTP/1.1\r\nHost: x\r\n"
                                      "Connection: close\r\n\r\n".encode("latin-1"))
                self.flock.until(lambda: conn.closed, 3, "answered")
                self.assertRegex(bytes(conn.received[:12]), rb"HTTP/1\.1 4(00|04)")

    def test_paths_that_name_no_output_are_answered_and_leave_no_descriptor(self):
        before = n_descriptors(self.node)
        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        stream = self.good[0].stream
        conns = [self.flock.raw(self.node.http, f"GET /{stream}.{suffix} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
                 for suffix in ("mkv", "flv2", "tsx", "m3u", "") for fields in ("", upgrade) for _ in range(10)]
        self.flock.until(lambda: all(conn.received for conn in conns), 5, "all are answered")
        for conn in conns:
            self.assertRegex(bytes(conn.received[:12]), rb"HTTP/1\.1 4(00|04)")
        self.flock.until(lambda: n_descriptors(self.node) <= before + 2, 10, "though the clients keep them open")

    def test_http_methods(self):
        stream = "/" + self.good[0].stream + ".flv"
        for method in ("DELETE", "PATCH"):
            status, headers, _ = harness.http_request(self.node.http, stream, method, body=b"x")
            self.assertEqual(status, 405, method)
            self.assertIn("GET", headers["allow"])
        status, headers, _ = harness.http_request(self.node.http, stream, "OPTIONS", {
            "Origin": "http://example.org", "Access-Control-Request-Method": "GET"})
        self.assertIn(status, (200, 204))
        self.assertIn("access-control-allow-origin", headers)
        status, headers, body = harness.http_request(self.node.http, "/healthz", "HEAD")
        self.assertEqual((status, body), (200, b""))

    def test_silent_and_slow_connections_are_closed_by_time(self):
        node = self.node
        self.before, start = node.metrics(), node.log_size()
        begin = time.monotonic()
        silent = {"rtmp, nothing": self.flock.raw(node.rtmp),
                  "rtmp, half a handshake": self.flock.raw(node.rtmp, HANDSHAKE[:700]),
                  "rtmp, handshake and nothing": self.flock.raw(node.rtmp, HANDSHAKE),
                  "rtmp, connect and nothing": self.flock.raw(node.rtmp, HANDSHAKE + connect_command()),
                  "http, half a head": self.flock.raw(node.http, b"GET /healthz HTTP/1.1\r\n"),
                  "http, nothing": self.flock.raw(node.http)}
        drip = self.flock.raw(node.http, b"GET /healthz HTTP/1.1\r\nX-A: ")
        while not drip.closed and time.monotonic() < begin + 6:
            drip.out += b"a"
            drip.send_now()
            self.flock.run(0.1)
        self.assertTrue(drip.closed, "one byte at a time is no way to keep a connection")
        for what, conn in silent.items():
            with self.subTest(what=what):
                self.flock.until(lambda: conn.closed, 6, "closed by time")
        self.assertLess(time.monotonic() - begin, 6)
        for what in list(silent)[:4]:
            with self.subTest(what=what):
                self.assertEqual(len(self.lines_about(silent[what], start)), 1)
        now = node.metrics()
        for kind, count in (("handshake", 3), ("idle", 1)):  # until connect, and from there
            counted = now.total("headwater_timeouts_total", kind=kind)
            self.assertEqual(counted - self.before.total("headwater_timeouts_total", kind=kind), count, kind)

    def test_publisher_that_falls_silent_is_closed(self):
        self.before, start = self.node.metrics(), self.node.log_size()
        publisher = self.flock.publish(self.node.rtmp, "live/silent", swarm.Clip(media.clip("small")))
        self.flock.until(lambda: publisher.n_sent > 20, 5)
        publisher.ended = True  # connected, but no media
        begin = time.monotonic()
        self.flock.until(lambda: publisher.closed, 6, "closed")
        self.assertGreater(time.monotonic() - begin, 1.5)
        self.assertEqual(self.node.metrics().total("headwater_timeouts_total", kind="publish_stall"),
                         self.before.total("headwater_timeouts_total", kind="publish_stall") + 1)

    def test_unknown_stream(self):
        for node in self.cluster.nodes:
            player = self.flock.play_rtmp(node.rtmp, "live/unknown")
            viewer = self.flock.play_flv(node.http, "live/unknown")
            self.flock.until(lambda: player.codes and viewer.status, 5, "both are answered")
            self.assertIn("NetStream.Play.StreamNotFound", player.codes)
            self.assertEqual(viewer.status, 404)

    def test_bad_names_are_refused(self):
        for app, name in BAD_NAMES:
            for kind in ("publish", "play"):
                with self.subTest(kind=kind, app=app, name=name):
                    conn = swarm.RtmpConn(self.flock, self.node.rtmp, kind, f"{app}/{name}")
                    conn.session.app, conn.session.name = app, name
                    conn.session.tc_url = f"rtmp://h/{app}"
                    self.flock.until(lambda: conn.closed or conn.codes, 2, "refused")
                    self.assertFalse(conn.is_running, conn.codes)
                    for code in conn.codes:
                        self.assertRegex(code, r"BadName|Failed|StreamNotFound|Rejected|InvalidApp")
                    conn.close()
        self.assertNotIn("\x01", self.node.log(), "control characters are escaped in the log")

    def test_a_refused_command_leaves_the_session_usable(self):
        conn = swarm.RtmpConn(self.flock, self.node.rtmp, "play", "live/unknown")
        self.flock.until(lambda: conn.codes, 5, "refused")
        conn.session.on_media = (log := swarm.MediaLog()).add
        conn.out += rtmp.command("play", 6, None, self.good[0].stream.split("/")[1], -2000,
                                 stream=conn.session.stream_id)
        conn.send_now()
        self.flock.until(lambda: log.n_video > 5, 5, "a second play works")

    def test_broken_media_ends_the_publisher_with_the_reason(self):
        headers = [tag for tag in flv.read_file(media.clip("small"))
                   if tag.type != flv.SCRIPT and flv.is_sequence_header(tag.type, tag.body)]
        for what, (kind, body, reason) in MEDIA_ATTACKS.items():
            with self.subTest(what=what):
                self.before, start = self.node.metrics(), self.node.log_size()
                conn = swarm.RtmpConn(self.flock, self.node.rtmp, "publish", "live/broken")
                self.flock.until(lambda: conn.is_running, 5, "accepted")
                for tag in headers:
                    conn.out += rtmp.message(tag.type, 0, conn.session.stream_id, tag.body, 4)
                conn.out += rtmp.message(kind, 40, conn.session.stream_id, body, 4)
                conn.send_now()
                self.flock.until(lambda: conn.closed, 3, "cut")
                self.assertIn("NetStream.Publish.Failed", conn.codes)
                self.assertRegex(dict(conn.session.statuses)["NetStream.Publish.Failed"], reason)
                lines = [line for line in self.lines_about(conn, start) if "msg=publish " not in line]
                self.assertEqual(len(lines), 1, lines)
                self.assertIn(reason, lines[0])
                self.assertEqual(self.node.metrics().total("headwater_protocol_errors_total", protocol="rtmp"),
                                 self.before.total("headwater_protocol_errors_total", protocol="rtmp") + 1)

    def test_absurd_time_stamps_never_go_backwards_at_players(self):
        day_ms = 86_400_000
        publisher = self.flock.publish(self.node.rtmp, "live/leaps", swarm.Clip(media.clip("small")),
                                       start_ts=0xFFFFFFFF - 1500)
        self.flock.until(lambda: publisher.is_running, 5)
        viewers = [self.flock.play_rtmp(self.node.rtmp, "live/leaps"),
                   self.flock.play_flv(self.cluster.edges[0].http, "live/leaps")]
        for step_ms in (0, day_ms, -2 * day_ms, 60_000):  # the wrap at 2^32, forward, backwards, forward
            publisher.start_ts += step_ms
            seen = [v.log.n_video for v in viewers]
            self.flock.until(lambda: all(v.log.n_video > n + 60 for v, n in zip(viewers, seen)), 15,
                             f"plays on over {step_ms} ms")
        self.assert_clean(*viewers)

    def test_extended_time_stamps_wrap(self):
        publisher = self.flock.publish(self.node.rtmp, "live/wrap", swarm.Clip(media.clip("small")),
                                       start_ts=0xFFFFFF - 1000)
        self.flock.until(lambda: publisher.is_running, 5)
        viewers = [self.flock.play_rtmp(self.node.rtmp, "live/wrap"), self.flock.play_flv(self.node.http, "live/wrap")]
        self.flock.until(lambda: all(v.log.n_video > 75 for v in viewers), 15, "plays over the boundary")
        self.assert_clean(*viewers)


class FoldersTest(harness.ClusterTest):
    """Segments on disk, in a folder beside which, and in which, others have files."""

    @classmethod
    def setUpClass(cls):
        cls.failed = False
        cls.cluster = harness.Cluster(origins=1, edges=0, schedulers=0)
        cls.folder = os.path.join(cls.cluster.folder, "hls")
        cls.kept = [os.path.join(cls.cluster.folder, "canary", "x"), os.path.join(cls.folder, "x"),
                    os.path.join(cls.folder, "live", "x")]
        for path in cls.kept:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, "w").close()
        cls.cluster.node_set = {"hls.mode": "always", "hls.segment_ms": "1000", "hls.idle_ms": "1000",
                                "hls.disk.dir": cls.folder, "hls.disk.cleanup": "end", "publisher_grace_ms": "300"}
        cls.cluster.__enter__()

    def publish(self, flock, name):
        """The publisher, once segments of it are there, and their folder."""
        folder = os.path.join(self.folder, "live", name)
        publisher = flock.publish(self.cluster.origins[0].rtmp, f"live/{name}", swarm.Clip(media.clip("small")))
        flock.until(lambda: os.path.isdir(folder) and len(os.listdir(folder)) > 1, 15, f"segments of {name}")
        return publisher, folder

    def test_no_name_writes_or_removes_outside_of_the_streams_own_folder(self):
        node = self.cluster.origins[0]
        with swarm.Swarm() as flock:
            good, folder = self.publish(flock, "good")
            for app, name in [*BAD_NAMES, ("", "")]:
                conn = swarm.RtmpConn(flock, node.rtmp, "publish", f"{app}/{name}")
                conn.session.app, conn.session.name = app, name
                flock.until(lambda: conn.closed or conn.codes, 5, f"{app}/{name} is refused")
                self.assertFalse(conn.is_running, f"{app}/{name}: {conn.codes}")
                conn.close()
            over, gone = self.publish(flock, "over")
            over.stop()
            over.close()
            flock.until(lambda: not os.path.exists(gone), 20, "what it left is removed")
            self.assertEqual([path for path in self.kept if not os.path.exists(path)], [])
            self.assertEqual(sorted(os.listdir(os.path.join(self.folder, "live"))), ["good", "x"])
            self.assertEqual(sorted(os.listdir(self.folder)), ["live", "x"])
            self.assertEqual(os.listdir(os.path.join(self.cluster.folder, "canary")), ["x"])
            self.assertGreater(len(os.listdir(folder)), 1)
            self.assertFalse(good.closed)


class BusyStreamTest(harness.ClusterTest):
    cluster_args = {"edges": 1}

    def test_second_publisher_is_refused_and_the_first_goes_on(self):
        clip = swarm.Clip(media.clip("small"))
        address = self.cluster.origins[0].rtmp
        with swarm.Swarm() as flock:
            first = flock.publish(address, "live/busy", clip)
            flock.until(lambda: first.is_running, 5)
            viewer = flock.play_flv(self.cluster.edges[0].http, "live/busy")
            flock.until(lambda: viewer.log.n_video > 10, 10)
            second = flock.publish(address, "live/busy", clip)
            flock.until(lambda: second.codes or second.closed, 5)
            self.assertIn("NetStream.Publish.BadName", second.codes)
            seen = viewer.log.n_video
            flock.until(lambda: viewer.log.n_video > seen + 25, 5, "the first goes on")
            self.assertFalse(first.closed)
            self.assert_clean(viewer)


class TakeoverTest(harness.ClusterTest):
    cluster_args = {"edges": 1, "node_set": {"publish.duplicate": "takeover"}}

    def test_second_publisher_takes_over_and_viewers_stay(self):
        clip = swarm.Clip(media.clip("small"))
        address = self.cluster.origins[0].rtmp
        with swarm.Swarm() as flock:
            first = flock.publish(address, "live/taken", clip)
            flock.until(lambda: first.is_running, 5)
            viewers = [flock.play_flv(self.cluster.edges[0].http, "live/taken"),
                       flock.play_rtmp(address, "live/taken")]
            flock.until(lambda: all(v.log.n_video > 10 for v in viewers), 10)
            second = flock.publish(address, "live/taken", clip)
            flock.until(lambda: second.is_running and first.closed, 5, "the first is closed")
            seen = []
            for viewer in viewers:
                viewer.log.counter_of.clear()
                viewer.log.problems.clear()  # the two publishers' frames may meet in one read
                seen.append(viewer.log.n_video)
            flock.until(lambda: all(v.log.n_video > n + 25 for v, n in zip(viewers, seen)), 10, "plays on")
            for viewer in viewers:
                self.assertFalse(viewer.closed)
                self.assertFalse([p for p in viewer.log.problems if "time stamp" in p])


if __name__ == "__main__":
    harness.main()
