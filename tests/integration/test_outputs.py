"""HTTP-TS, progressive MP4 and WebSockets: what players get, bit by bit and in ffmpeg's judgement."""

import os
import struct
from fractions import Fraction

import harness
import media
import websocket
from enhanced import hevc_flv, post_tags
from outputs import FORMS, NodeTest, Player, boxes, decode, packets
from websocket import WebSocket

SECONDS = 4


class OutputsTest(NodeTest):
    """Whole streams, from before their begin to their end."""

    def players(self, stream, forms=FORMS):
        """One over HTTP and one over a WebSocket of each form, who wait for the stream."""
        found = {(form, ws): Player(self.node.http, stream, form, ws) for form in forms for ws in (False, True)}
        harness.wait_until(lambda: sum(s["stream"] == stream for s in self.node.sessions()) == len(found), 10,
                           "all wait")
        return found

    def check_same_as_flv(self, found, kinds):
        """Each form has the packets of the FLV form, at the same times to the tick."""
        want, _ = packets(self.save(found["flv", False]))
        self.assertEqual(set(want), set(kinds))
        for form in ("ts", "mp4"):
            path = self.save(found[form, False])
            decode(path)
            self.check_times(form, want, *packets(path))

    def check_times(self, form, want, got, ticks):
        self.assertEqual(set(got), set(want), form)
        for kind, packets_of in want.items():
            self.assertEqual(len(got[kind]), len(packets_of), f"{form} {kind}")
            for i, (have, due) in enumerate(zip(got[kind], packets_of)):
                for name, a, b in zip(("dts", "pts"), have, due):
                    self.assertLessEqual(abs(a - b), ticks[kind], f"{form} {kind} packet {i} {name}")

    def whole_stream(self, kind, kinds):
        stream, clip = f"live/{kind}", media.clip(kind, SECONDS)
        found = self.players(stream)
        publisher = media.publish(clip, self.node.url(stream), self.cluster.folder, kind)
        try:
            for player in found.values():
                player.end(SECONDS + 20)
        finally:
            publisher.kill()
        for form in FORMS:
            plain, ws = found[form, False], found[form, True]
            self.assertEqual((plain.status, ws.status), (200, 101))
            self.assertEqual(bytes(ws.bytes), bytes(plain.bytes), f"{form}: the same bytes over both")
            self.assertEqual(websocket.close_code(ws.close_frame), 1000, "the stream has ended")
        self.check_same_as_flv(found, kinds)
        return found

    def test_whole_streams_of_h264_and_aac_decode_and_keep_their_times(self):
        found = self.whole_stream("h264_aac", ("audio", "video"))
        self.assertEqual(found["ts", False].headers["content-type"], "video/mp2t")
        self.assertEqual(found["mp4", False].headers["content-type"], "video/mp4")
        for message in found["ts", True].messages:
            self.assertEqual((len(message) % 188, message[0]), (0, 0x47), "whole packets")
        for message in found["mp4", True].messages[1:]:
            self.assertEqual(boxes(message), ["moof", "mdat"])
        self.assertEqual(boxes(found["mp4", True].messages[0]), ["ftyp", "moov"])

    def test_whole_streams_of_h264_and_mp3(self):
        self.whole_stream("h264_mp3", ("audio", "video"))

    def test_whole_streams_of_sound_alone(self):
        self.whole_stream("audio_only", ("audio",))

    def test_whole_streams_of_pictures_alone(self):
        self.whole_stream("video_only", ("video",))

    def test_whole_streams_of_hevc(self):
        tags = hevc_flv(os.path.join(self.cluster.folder, "hevc-source.mp4"), SECONDS)
        found = self.players("live/hevc", ("ts", "mp4"))
        post_tags(self.node.http, "live/hevc", tags)
        want = []
        for _, ms, body in tags[1:]:
            cts = struct.unpack(">i", body[5:8] + b"\0")[0] >> 8
            want.append((Fraction(ms, 1000), Fraction(ms + cts, 1000), body[0] & 0x70 == 0x10))
        for form in ("ts", "mp4"):
            player = found[form, False].end()
            self.assertEqual(bytes(player.bytes), bytes(found[form, True].end().bytes))
            path = self.save(player)
            decode(path)
            got, ticks = packets(path)
            shift = got["video"][0][0] - want[0][0]
            moved = [(dts + shift, pts + shift, key) for dts, pts, key in want]
            self.check_times(form, {"video": moved}, got, ticks)
            self.assertEqual([p[2] for p in got["video"]], [p[2] for p in want], "key frames")

    def test_unknown_stream_is_404_and_head_says_what_there_is(self):
        for form in FORMS:
            status = harness.http_request(self.node.http, f"/live/none.{form}", "HEAD")[0]
            self.assertEqual(status, 404, form)
        found = self.players("live/none")
        self.assertEqual({player.end().status for player in found.values()}, {404})
        self.assertEqual(harness.http_request(self.node.http, "/live/none.mkv")[0], 404)


class LiveTest(NodeTest):
    """One stream that goes on; who comes, leaves and misbehaves."""

    cluster_args = {**NodeTest.cluster_args, "node_set": {"publisher_grace_ms": "3000", "play_wait_ms": "6000"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node = cls.cluster.origins[0]
        cls.publisher = media.publish(media.clip("h264_aac"), cls.node.url("live/on"), cls.cluster.folder,
                                      "on", loop=True)
        harness.wait_until(lambda: any(s["name"] == "live/on" for s in cls.node.streams()), 10, "published")

    @classmethod
    def tearDownClass(cls):
        cls.publisher.kill()
        super().tearDownClass()

    def kick(self, session_id):
        path = f"/api/v1/sessions/{session_id}"
        status = harness.http_request(self.node.admin, path, "DELETE", {"Content-Type": "application/json"})[0]
        self.assertEqual(status, 204)

    @staticmethod
    def id_of(player):
        return player.headers["x-headwater-session"].split("/")[1]

    def ws(self, form="ts", stream="live/on", **how):
        return WebSocket(self.node.http, f"/{stream}.{form}", **how).open()

    def test_late_joiner_starts_at_a_key_frame_and_a_kick_ends_with_a_whole_unit(self):
        for form in ("ts", "mp4"):
            for over_ws in (False, True):
                with self.subTest(form=form, over_ws=over_ws):
                    player = Player(self.node.http, "live/on", form, over_ws)
                    harness.wait_until(lambda: player.has(120_000), 15, "plays")
                    self.kick(self.id_of(player))
                    path = self.save(player.end())
                    if over_ws:
                        self.assertEqual(websocket.close_code(player.close_frame), 1001)
                    decode(path)
                    got, _ = packets(path)
                    self.assertTrue(got["video"][0][2], "starts at a key frame")
                    self.assertGreater(len(got["audio"]), 20)

    def test_ping_gets_a_pong_between_messages(self):
        ws = self.ws("mp4")
        ws.until(websocket.BINARY)
        ws.send(websocket.PING, b"are you there")
        self.assertEqual(ws.until(websocket.PONG)[1], b"are you there")
        self.assertEqual(boxes(ws.until(websocket.BINARY)[1]), ["moof", "mdat"])
        ws.send(websocket.PONG, b"unasked")
        ws.send(websocket.TEXT, b"hello")
        ws.send(websocket.PING)
        self.assertEqual(ws.until(websocket.PONG)[1], b"")
        ws.close()

    def test_close_gets_a_close_with_the_same_code_then_the_end(self):
        for payload, code in ((struct.pack(">H", 1000) + b"bye", 1000), (b"", None)):
            ws = self.ws()
            ws.until(websocket.BINARY)
            ws.send(websocket.CLOSE, payload)
            self.assertEqual(websocket.close_code(ws.until(websocket.CLOSE)), code)
            self.assertIsNone(ws.frame())
            ws.close()

    def test_player_that_breaks_the_protocol_is_told_and_nobody_else_notices(self):
        other = Player(self.node.http, "live/on", "ts", True)
        harness.wait_until(lambda: other.has(0), 10, "plays")
        for frame, code in ((dict(opcode=websocket.TEXT, payload=b"x", masked=False), 1002),
                            (dict(opcode=websocket.TEXT, payload=b"x" * 5000), 1009),
                            (dict(opcode=3, payload=b""), 1002),
                            (dict(opcode=websocket.PING, payload=b"", fin=False), 1002)):
            ws = self.ws()
            ws.until(websocket.BINARY)
            before = self.node.metrics().total("headwater_protocol_errors_total", protocol="ws")
            ws.send(**frame)
            self.assertEqual(websocket.close_code(ws.until(websocket.CLOSE)), code, frame)
            self.assertIsNone(ws.frame())
            ws.close()
            after = self.node.metrics().total("headwater_protocol_errors_total", protocol="ws")
            self.assertEqual(after - before, 1, frame)
        seen = len(other.bytes)
        harness.wait_until(lambda: other.has(seen + 20_000), 10, "plays on")
        path = self.save(other.stop())
        decode(path)

    def test_player_that_leaves_without_a_word_is_gone(self):
        ws = self.ws("flv")
        ws.until(websocket.BINARY)
        session = next(s for s in self.node.sessions() if s["id"] == self.id_of(ws))
        self.assertEqual((session["protocol"], session["kind"]), ("ws-flv", "play"))
        ws.close()
        harness.wait_until(lambda: all(s["id"] != session["id"] for s in self.node.sessions()), 10, "gone")

    def test_handshake_is_answered_as_asked(self):
        ws = self.ws(protocols=("chat", "mpegts"))
        self.assertEqual((ws.status, ws.headers["sec-websocket-protocol"]), (101, "mpegts"))
        self.assertIn("x-headwater-session", ws.headers)
        ws.close()
        ws = self.ws(protocols=("chat",))
        self.assertEqual(ws.status, 101)
        self.assertNotIn("sec-websocket-protocol", ws.headers)
        ws.close()
        ws = self.ws(version=8)
        self.assertEqual((ws.status, ws.headers["sec-websocket-version"]), (426, "13"))
        ws.close()
        ws = self.ws("mkv")
        self.assertEqual(ws.status, 404)
        ws.close()

    def test_kick_of_a_waiting_websocket_is_answered_before_the_101(self):
        ws = WebSocket(self.node.http, "/live/later.ts")
        waiting = harness.wait_until(lambda: [s["id"] for s in self.node.sessions() if s["kind"] == "waiting"
                                              and s["stream"] == "live/later"], 10, "waits")
        self.kick(waiting[0])
        self.assertEqual(ws.open().status, 503)
        ws.close()

    def test_head_says_what_a_get_would(self):
        for form, content_type in (("flv", "video/x-flv"), ("ts", "video/mp2t"), ("mp4", "video/mp4")):
            status, headers, body = harness.http_request(self.node.http, f"/live/on.{form}", "HEAD")
            self.assertEqual((status, headers["content-type"], body), (200, content_type, b""))

    def test_sessions_and_bytes_are_counted_by_protocol(self):
        def counts(protocol):
            m = self.node.metrics()
            return (m.total("headwater_sessions_total", protocol=protocol, kind="play"),
                    m.total("headwater_bytes_out_total", protocol=protocol))
        for form, over_ws in ((f, w) for f in FORMS for w in (False, True)):
            protocol = f"ws-{form}" if over_ws else form
            before = counts(protocol)
            player = Player(self.node.http, "live/on", form, over_ws)
            harness.wait_until(lambda: player.has(50_000), 15, f"{protocol} plays")
            harness.wait_until(lambda: counts(protocol)[0] == before[0] + 1 and
                               counts(protocol)[1] >= before[1] + 50_000, 10, f"{protocol} is counted")
            player.stop()

    def test_kick_of_the_stream_is_told(self):
        publisher = media.publish(media.clip("h264_aac"), self.node.url("live/kicked"), self.cluster.folder, "kicked")
        try:
            ws = self.ws("mp4", "live/kicked")
            ws.until(websocket.BINARY)
            harness.http_request(self.node.admin, "/api/v1/streams/live/kicked", "DELETE",
                                 {"Content-Type": "application/json"})
            self.assertEqual(websocket.close_code(ws.until(websocket.CLOSE)), 1008)
            ws.close()
        finally:
            publisher.kill()

    def test_another_publisher_with_other_tracks_is_told_in_the_stream(self):
        clips = [media.clip(kind, SECONDS) for kind in ("h264_aac", "small")]
        player = Player(self.node.http, "live/two", "mp4", True)
        ts = Player(self.node.http, "live/two", "ts", True)
        for i, clip in enumerate(clips):
            publisher = media.publish(clip, self.node.url("live/two"), self.cluster.folder, f"two-{i}")
            harness.wait_until(lambda: not publisher.is_alive(), SECONDS + 20, "published")
        moovs = [i for i, message in enumerate(player.end().messages) if "moov" in boxes(message)]
        self.assertEqual(len(moovs), 2, "one init section a publisher")
        for name, part in (("first", player.messages[:moovs[1]]), ("second", player.messages[moovs[1]:])):
            path = os.path.join(self.cluster.folder, f"two-{name}.mp4")
            with open(path, "wb") as file:
                file.write(b"".join(part))
            decode(path)
            self.assertGreater(len(packets(path)[0]["audio"]), 50, name)
        self.assertGreater(len(ts.end().bytes), 100_000)


class OriginTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0,
                    "node_set": {"websocket.origins": "https://tv.example,http://localhost:3000"}}

    def test_pages_of_other_sites_get_no_websocket(self):
        node = self.cluster.origins[0]
        publisher = media.publish(media.clip("h264_aac"), node.url("live/on"), self.cluster.folder, "on", loop=True)
        try:
            for origin, status in ((None, 101), ("https://tv.example", 101), ("https://tv.example:443", 101),
                                   ("http://localhost:3000", 101), ("https://evil.example", 403),
                                   ("http://tv.example", 403), ("null", 403)):
                with self.subTest(origin=origin):
                    ws = WebSocket(node.http, "/live/on.flv", origin=origin).open()
                    self.assertEqual(ws.status, status)
                    if status == 403:
                        self.assertIn(b"websocket.origins", ws.body)
                    ws.close()
            self.assertEqual(node.metrics().total("headwater_play_refused_total", reason="origin"), 3)
            self.assertEqual(harness.http_request(node.http, "/live/on.flv", "HEAD",
                                                  {"Origin": "https://evil.example"})[0], 200)
        finally:
            publisher.kill()


class ClusterOutputsTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 1}

    def test_edges_play_what_origins_have_and_the_entry_point_sends_there(self):
        origin, edge = self.cluster.origins[0], self.cluster.edges[0]
        publisher = media.publish(media.clip("h264_aac"), origin.url("live/far"), self.cluster.folder, "far",
                                  loop=True)
        try:
            self.cluster.wait_route("live/far")
            for form in FORMS:
                status, headers, _ = harness.http_request(self.cluster.scheduler.http, f"/live/far.{form}?a=1")
                self.assertEqual(status, 302)
                self.assertEqual(headers["location"], "http://%s:%d/live/far.%s?a=1" % (*edge.http, form))
                for over_ws in (False, True):
                    player = Player(edge.http, "live/far", form, over_ws)
                    harness.wait_until(lambda: player.has(150_000), 15, "plays")
                    if not over_ws:
                        player.stop()
                        continue
                    path = os.path.join(self.cluster.folder, f"far.{form}")
                    with open(path, "wb") as file:
                        file.write(player.stop().bytes)
                    decode(path)
                    self.assertTrue(packets(path)[0]["video"][0][2], "starts at a key frame")
        finally:
            publisher.kill()


if __name__ == "__main__":
    harness.main()
