"""Which tracks a player gets: what it has announced, late sound, silence in its place, another codec in
mid-stream."""

import os
import subprocess

import flv
import harness
import second_opinion as ffmpeg8
import swarm

ENHANCED = {"fourCcList": ["hvc1", "av01"], "capsEx": 0}


def flv_of(path):
    """The file as FLV tags of FFmpeg 8."""
    out = os.path.splitext(path)[0] + ".flv"
    if not os.path.exists(out):
        ffmpeg8.finish(ffmpeg8.publish(out, path))
    return flv.read_file(out)


class NodeTest(harness.ClusterTest):
    """One node, and RTMP clients that announce what they like."""

    @classmethod
    def setUpClass(cls):
        ffmpeg8.install()
        super().setUpClass()

    def setUp(self):
        self.node = self.cluster.origins[0]
        self.flock = swarm.Swarm()
        self.addCleanup(self.flock.__exit__)

    def player(self, stream, **announced):
        conn = swarm.RtmpConn(self.flock, self.node.rtmp, "play", stream)
        conn.session.connect_more = announced
        conn.got = []
        conn.session.on_media = lambda kind, ts, body: conn.got.append((kind, ts, body))
        return conn

    def publisher(self, stream):
        conn = swarm.RtmpConn(self.flock, self.node.rtmp, "publish", stream)
        self.flock.until(lambda: conn.is_running, 5, "accepted")
        return conn

    def send(self, conn, tags, shift_ms=0):
        for tag in tags:
            conn.out += swarm.rtmp.message(tag.type, tag.ts + shift_ms, conn.session.stream_id, tag.body, 4)
        conn.send_now()

    def has(self, conn, kind, start):
        return any(k == kind and body.startswith(start) for k, _, body in conn.got)


class TracksTest(NodeTest):
    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0,
                    "node_set": {"publisher_grace_ms": "500", "silent_audio": "true"}}

    def test_players_get_what_they_announce_and_others_hear_why_not(self):
        tags = flv_of(ffmpeg8.source("hevc", "aac"))
        publisher = self.publisher("live/hevc")
        takes, old, other, sound = (self.player("live/hevc", **ENHANCED), self.player("live/hevc"),
                                    self.player("live/hevc", fourCcList=["av01"]),
                                    self.player("live/hevc?only=audio"))
        twelve = self.player("live/hevc?hevc=12")
        self.send(publisher, tags[:100])
        self.flock.until(lambda: len(takes.got) > 20 and len(twelve.got) > 20 and old.codes and other.codes
                         and len(sound.got) > 5, 10, "all are answered")
        for conn, reason in ((old, "rtmp.old_players"), (other, "fourCcList")):
            self.assertIn("NetStream.Play.Failed", conn.codes)
            self.assertIn("hevc", dict(conn.session.statuses)["NetStream.Play.Failed"])
            self.assertIn(reason, dict(conn.session.statuses)["NetStream.Play.Failed"])
            self.assertEqual([k for k, _, _ in conn.got if k == flv.VIDEO], [])
        self.assertTrue(self.has(takes, flv.VIDEO, b"\x90hvc1"))
        self.assertTrue(self.has(twelve, flv.VIDEO, b"\x1c\0"), "codec id 12")
        self.assertFalse(self.has(twelve, flv.VIDEO, b"\x90"))
        self.assertEqual({k for k, _, _ in sound.got} - {flv.SCRIPT}, {flv.AUDIO})

    def test_player_hears_when_the_codec_becomes_one_that_it_cannot_take(self):
        h264, hevc = (flv_of(ffmpeg8.source(codec, "aac")) for codec in ("h264", "hevc"))
        publisher = self.publisher("live/change")
        old, new = self.player("live/change"), self.player("live/change", **ENHANCED)
        self.send(publisher, h264[:60])
        self.flock.until(lambda: len(old.got) > 20 and len(new.got) > 20, 10, "both play")
        self.send(publisher, hevc[:60], shift_ms=h264[60].ts)
        self.flock.until(lambda: old.closed and self.has(new, flv.VIDEO, b"\x90hvc1"), 10, "the codec has changed")
        self.assertIn("NetStream.Play.Failed", old.codes)
        self.assertFalse(any(body[0] & 0x80 for kind, _, body in old.got if kind == flv.VIDEO), "no garbage before")

    def test_hevc_of_codec_id_12_comes_out_with_todays_header(self):
        tags = [tag for tag in flv_of(ffmpeg8.source("hevc", "aac"))
                if tag.type == flv.VIDEO and tag.body[0] & 15 in (0, 1, 3)][:30]  # no colorInfo
        old = []
        for tag in tags:
            first, packet, rest = tag.body[0], tag.body[0] & 15, tag.body[5:]
            time = b"\0\0\0" if packet != 1 else b""
            old.append(tag._replace(body=bytes([first & 0x70 | 12, 0 if packet == 0 else 1]) + time + rest))
        publisher, viewer = self.publisher("live/twelve"), self.player("live/twelve", **ENHANCED)
        self.send(publisher, old)
        self.flock.until(lambda: self.has(viewer, flv.VIDEO, tags[-1].body), 10, "plays")
        got = [body for kind, _, body in viewer.got if kind == flv.VIDEO]
        self.assertEqual(got[0], tags[0].body, "the header of a late joiner")
        self.assertEqual(got[1:], [tag.body for tag in tags[1 - len(got):]])

    def test_silence_until_sound_comes(self):
        tags = flv_of(ffmpeg8.source("h264", "aac"))
        pictures = [tag for tag in tags if tag.type == flv.VIDEO]
        publisher, viewer = self.publisher("live/mute"), self.player("live/mute")
        self.send(publisher, pictures[:5])
        self.flock.until(lambda: any(self.node.streams()) and self.flock.run(0.2) is None and viewer.got, 10, "plays")
        self.flock.run(0.8)  # tracks_wait_ms
        self.send(publisher, pictures[5:76])
        self.flock.until(lambda: sum(k == flv.AUDIO for k, _, _ in viewer.got) > 100, 10, "silence comes")
        silence = [(ts, body) for kind, ts, body in viewer.got if kind == flv.AUDIO]
        self.assertEqual(silence[0][1], b"\xaf\x00\x12\x10")
        self.assertEqual(len({body for _, body in silence[1:]}), 1)
        for i, (ts, _) in enumerate(silence[1:]):
            self.assertAlmostEqual(ts, silence[1][0] + i * 1024000 / 44100, delta=1)
        path = os.path.join(self.cluster.folder, "mute.aac")
        with open(path, "wb") as file:  # ADTS in front of each: AAC-LC, 44.1 kHz, stereo
            for _, body in silence[1:]:
                size = len(body) - 2 + 7
                file.write(bytes([0xff, 0xf1, 0x50, 0x80 | size >> 11, size >> 3 & 255, (size & 7) << 5 | 0x1f, 0xfc]))
                file.write(body[2:])
        heard = subprocess.run([harness.tool("ffmpeg"), "-v", "error", "-xerror", "-i", path, "-f", "s16le", "-"],
                               capture_output=True, check=True)
        self.assertEqual(heard.stderr, b"")
        self.assertEqual(set(heard.stdout), {0})
        at = pictures[76].ts
        real = [tag for tag in tags if tag.type == flv.AUDIO and (flv.is_sequence_header(tag.type, tag.body) or
                                                                  tag.ts >= at)]
        rest = sorted(real[1:] + pictures[76:], key=lambda tag: tag.ts)
        n_silent = len(silence)
        self.send(publisher, real[:1] + rest)
        self.flock.until(lambda: self.has(viewer, flv.AUDIO, real[-1].body), 10, "the sound comes")
        later = [body for kind, _, body in viewer.got if kind == flv.AUDIO][n_silent:]
        self.assertNotIn(silence[1][1], later[later.index(real[1].body):], "no silence any more")
        times = [ts for kind, ts, _ in viewer.got if kind == flv.AUDIO]
        self.assertEqual(times, sorted(times))

    def row(self, conn):
        """What the node says of this client."""
        peer = f"127.0.0.1:{conn.local_port}"
        return next((s for s in self.node.sessions() if s["peer"] == peer), None)

    def test_every_session_has_true_counters(self):
        tags = flv_of(ffmpeg8.source("h264", "aac"))[:150]
        clients = {form: self.flock.raw(self.node.http, f"GET /live/rows.{form} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                   for form in ("flv", "ts", "mp4")}
        clients["rtmp"] = self.player("live/rows")
        for form in ("flv", "ts", "mp4"):
            clients[f"ws-{form}"] = self.flock.raw(self.node.http, (
                f"GET /live/rows.{form} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode())
        self.flock.until(lambda: all(self.row(c) for c in clients.values()), 10, "all wait")
        publisher = self.publisher("live/rows")
        first = next(i for i, tag in enumerate(tags) if tag.type == flv.VIDEO and tag.body[0] == 0x17 and tag.body[1])
        self.send(publisher, tags[:first + 6])
        self.flock.until(lambda: all(self.row(c)["frames_out"] == 6 for c in clients.values()), 15, "all play")
        self.send(publisher, tags[first + 6:])
        self.flock.until(lambda: all(self.row(c)["frames_out"] >= len(tags) - first for c in clients.values()),
                         15, "all is sent")
        for protocol, client in clients.items():
            with self.subTest(protocol):
                self.flock.until(lambda c=client: protocol == "rtmp" or len(c.received) == self.row(c)["bytes_out"],
                                 5, "each byte has come")
                row = self.row(client)
                self.assertEqual((row["protocol"], row["kind"], row["dropped"], row["jumps"], row["lag_ms"]),
                                 (protocol, "play", 0, 0, 0))
                self.assertEqual(row["frames_out"], len(tags) - first)
                self.assertGreater(row["bytes_in"], 0)
        self.assertEqual(self.row(publisher)["frames_in"], len(tags))
        got = [body for kind, _, body in clients["rtmp"].got]
        self.assertEqual(got[-(len(tags) - first):], [tag.body for tag in tags[first:]])

    def test_selections_that_mean_nothing_are_refused(self):
        for query in ("only=pictures", "tracks=2", "hevc=13", "only="):
            status, _, body = harness.http_request(self.node.http, f"/live/x.flv?{query}")
            self.assertEqual(status, 400, query)
            self.assertIn(b"only=audio", body)
            player = self.player(f"live/x?{query}")
            self.flock.until(lambda: player.codes, 5, "refused")
            self.assertIn("NetStream.Play.Failed", player.codes)


class OldPlayersTest(NodeTest):
    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0,
                    "node_set": {"publisher_grace_ms": "500", "rtmp.old_players": "hevc12"}}

    def test_players_that_announce_nothing_get_hevc_as_codec_id_12(self):
        tags = flv_of(ffmpeg8.source("hevc", "aac"))
        publisher, old = self.publisher("live/old"), self.player("live/old")
        self.send(publisher, tags[:60])
        self.flock.until(lambda: len(old.got) > 20, 10, "plays")
        pictures = [body for kind, _, body in old.got if kind == flv.VIDEO]
        self.assertEqual({body[0] & 0x8F for body in pictures}, {12})
        self.assertEqual(pictures[0][:5], b"\x1c\0\0\0\0")
        first = next(tag.body for tag in tags if tag.type == flv.VIDEO)
        self.assertEqual(pictures[0][5:], first[5:])


class AllToOldPlayersTest(NodeTest):
    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0,
                    "node_set": {"publisher_grace_ms": "500", "rtmp.old_players": "all"}}

    def test_players_that_announce_nothing_get_everything_with_todays_headers(self):
        tags = flv_of(ffmpeg8.source("hevc", "opus"))
        publisher, old = self.publisher("live/all"), self.player("live/all")
        asks = self.player("live/all?hevc=12")  # has no place for this sound
        self.send(publisher, tags[:100])
        self.flock.until(lambda: len(old.got) > 20 and asks.codes, 10, "both are answered")
        self.assertTrue(self.has(old, flv.VIDEO, b"\x90hvc1"))
        self.assertTrue(self.has(old, flv.AUDIO, b"\x90Opus"))
        self.assertNotIn("NetStream.Play.Failed", old.codes)
        self.assertIn("NetStream.Play.Failed", asks.codes)
        self.assertIn("opus", dict(asks.session.statuses)["NetStream.Play.Failed"])


if __name__ == "__main__":
    harness.main()
