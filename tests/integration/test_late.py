"""HTTP-FLV, HTTP-TS, MP4 and WebSockets: what players get who come late, or stay for the next publisher."""

import threading

import flv
import harness
import media
from enhanced import enhanced_flv, post_tags
from mpegts import PACKET, TsReader
from outputs import FORMS, NodeTest, Player, decode, packets
from second_opinion import source

SECONDS = 4


class LateTest(NodeTest):
    """Who comes late: behind the begin of a stream, or behind its first publisher."""

    cluster_args = {**NodeTest.cluster_args,
                    "node_set": {"publisher_grace_ms": "8000", "play_wait_ms": "6000", "compat": ["lal"]}}

    def publish(self, kind, stream, loop=False, seconds=SECONDS):
        publisher = media.publish(media.clip(kind, seconds), self.node.url(stream), self.cluster.folder, kind, loop=loop)
        self.addCleanup(publisher.kill)
        return publisher

    def stream(self, name):
        return next((s for s in self.node.streams() if s["name"] == name), None)

    def tracks(self, name):
        return sorted((t["kind"], t["codec"]) for t in self.stream(name)["tracks"])

    def end(self, publisher, name):
        """Waits until a publisher has left; who plays stays."""
        publisher.popen.wait(SECONDS + 20)
        harness.wait_until(lambda: not self.stream(name)["live"], 10, "nobody publishes")

    def test_sound_alone_behind_pictures_plays_to_who_stayed_and_who_comes(self):
        stayed = {form: Player(self.node.http, "live/then", form) for form in FORMS}
        first = self.publish("h264_aac", "live/then")
        harness.wait_until(lambda: all(p.has(50_000) for p in stayed.values()), 15, "pictures")
        self.end(first, "live/then")
        before = {form: len(player.bytes) for form, player in stayed.items()}
        n_before = self.stream("live/then")["frames"]["audio"]
        self.publish("audio_only", "live/then", loop=True, seconds=10)
        harness.wait_until(lambda: self.tracks("live/then") == [("audio", "aac")], 10, lambda: self.stream("live/then"))
        group = harness.get_json(self.node.admin, "/api/stat/group?stream_name=then")["data"]
        self.assertEqual([group[key] for key in ("audio_codec", "video_codec", "video_width", "video_height")],
                         ["AAC", "", 0, 0])
        harness.wait_until(lambda: self.stream("live/then")["frames"]["audio"] > n_before + 120, 15, "seconds of it")
        late = {(form, ws): Player(self.node.http, "live/then", form, ws) for form in FORMS for ws in (False, True)}
        for player in late.values():
            harness.wait_until(lambda: player.has(16_000), 15, f"{player.name} hears")
            got, _ = packets(self.save(player.stop()))
            self.assertNotIn("video", got, player.name)
            self.assertGreater(len(got["audio"]), 40, player.name)
        for form, player in stayed.items():
            self.assertGreater(len(player.stop().bytes), before[form] + 16_000, player.name)

    def test_transport_stream_has_tables_and_time_that_goes_on_for_the_next_publisher(self):
        player = Player(self.node.http, "live/next", "ts")
        self.end(self.publish("h264_aac", "live/next"), "live/next")
        n_before = len(player.bytes)
        second = self.publish("wide", "live/next", loop=True)
        harness.wait_until(lambda: player.has(n_before + 100_000), 15, "the next one plays")
        second.kill()
        data = bytes(player.stop().bytes)
        reader = TsReader()
        reader.feed(data[:len(data) // PACKET * PACKET])
        reader.finish()
        self.assertEqual(reader.problems, [])
        border = n_before // PACKET
        first_media = min(pes.at for pes in reader.pes if pes.at >= border)
        for tables in (reader.pats, reader.pmts):
            self.assertTrue([at for at in tables if border <= at < first_media], "tables in front of its media")
        for pid in {pes.pid for pes in reader.pes}:
            times = [dts for dts, _ in reader.packets(pid)]
            self.assertEqual(times, sorted(times), f"PID {pid:#x}: time goes on")
        self.assertEqual(reader.pids((0x1B,)), [pid for pid in {p.pid for p in reader.pes if p.at >= border}
                                                if reader.streams[pid] == 0x1B], "pictures of both")

    def test_av1_begins_with_its_header_and_a_key_frame(self):
        """And is in transport streams, and says nothing to the log frame by frame."""
        start = self.node.log_size()
        tags = enhanced_flv(source("av1", "aac", 10), b"av01")
        thread = threading.Thread(target=post_tags, args=(self.node.http, "live/av1", tags), daemon=True)
        thread.start()
        harness.wait_until(lambda: self.stream("live/av1") and self.stream("live/av1")["frames"]["video"] > 40, 15,
                           "it runs")
        players = {form: Player(self.node.http, "live/av1", form) for form in FORMS}
        for player in players.values():
            harness.wait_until(lambda: player.has(20_000), 10, player.name)
        self.assertEqual(self.tracks("live/av1"), [("video", "av1")])
        group = harness.get_json(self.node.admin, "/api/stat/group?stream_name=av1")["data"]
        self.assertEqual((group["video_codec"], group["video_width"], group["video_height"]), ("AV1", 160, 120))
        bodies = [tag.body for tag in flv.FlvReader().feed(bytes(players["flv"].stop().bytes)) if tag.type == flv.VIDEO]
        self.assertEqual((bodies[0], bodies[1][:5]), (tags[0][2], b"\x91av01"))
        reader = TsReader()
        data = bytes(players["ts"].stop().bytes)
        reader.feed(data[:len(data) // PACKET * PACKET])
        self.assertEqual(reader.problems, [])
        self.assertIn(b"AV01", data[:PACKET * 3], "the registration in the PMT")
        self.assertGreater(len(reader.finish().packets(reader.pids((6,))[0])), 20)
        path = self.save(players["mp4"].stop())
        decode(path)
        self.assertTrue(packets(path)[0]["video"][0][2], "starts at a key frame")
        self.assertEqual([line for line in self.node.log(start).splitlines()
                          if "live/av1" in line and (" warn " in line or " error " in line)], [])
        thread.join(20)


if __name__ == "__main__":
    harness.main()
