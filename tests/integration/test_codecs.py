"""Each codec through each output: README.md's table, row by row. FFmpeg 8 publishes and plays, so that what we
read and write is not judged by us."""

import json
import os

import enhanced
import flv
import harness
import outputs
import second_opinion as ffmpeg8

NAMES = {"H.264": "h264", "HEVC": "hevc", "AV1": "av1", "VP9": "vp9", "VP8": "vp8", "AAC": "aac", "MP3": "mp3",
         "Opus": "opus", "FLAC": "flac", "AC-3": "ac3", "E-AC-3": "eac3"}
OUTPUTS = ("flv", "ts", "mp4")  # columns behind the codec; RTMP is as FLV
SECONDS = 5


def table():
    """{codec: {output: carried?}} of README.md."""
    with open(os.path.join(harness.ROOT, "README.md")) as file:
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in file
                if line.startswith("|")]
    found = {}
    for row in rows:
        if row[0] in NAMES and len(row) == 1 + len(OUTPUTS):
            found[NAMES[row[0]]] = {output: cell.startswith("carried") for output, cell in zip(OUTPUTS, row[1:])}
    return found


def find(tracks, codec):
    return next((track for track in tracks if track["codec"] == codec), None)


def vp8_tags(path):
    """Enhanced RTMP v2: a VPCodecConfigurationRecord, then a frame a tag."""
    shown = json.loads(outputs.run_tool("ffprobe", "-of", "json", "-show_packets", "-show_data", path))
    tags = [(flv.VIDEO, 0, b"\x90vp08" + bytes([1, 0, 0, 0, 0, 10, 0x82, 2, 2, 2, 0, 0]))]
    for packet in shown["packets"]:
        lines = (line.split(": ", 1)[1].split("  ")[0] for line in packet["data"].strip().splitlines())
        kind = 0x91 if "K" in packet["flags"] else 0xA1
        tags.append((flv.VIDEO, round(float(packet["pts_time"]) * 1000),
                     bytes([kind]) + b"vp08" + bytes.fromhex("".join(lines).replace(" ", ""))))
    return tags


class CodecsTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 1, "node_set": {"publisher_grace_ms": "500"}}

    @classmethod
    def setUpClass(cls):
        ffmpeg8.install()
        super().setUpClass()

    def left_out(self, node, stream):
        """{protocol: what its session says}, of those that play."""
        return {s["protocol"]: s["left_out"] for s in node.sessions()
                if s["stream"] == stream and s["kind"] == "play"}

    def play_all(self, edge, stream):
        base = "http://%s:%d/%s" % (*edge.http, stream)
        players = {output: ffmpeg8.play(f"{base}.{output}") for output in OUTPUTS}
        players["rtmp"] = ffmpeg8.play(edge.url(stream), ffmpeg8.ENHANCED)
        return players

    def check_output(self, output, tracks, want, is_carried, codec):
        where = f"{codec} by {output}"
        got = find(tracks, want["codec"])
        if (codec, output) == ("av1", "ts"):  # FFmpeg does not know the AOM mapping: packets of no codec
            got = next((t for t in tracks if t["type"] not in (0, 1)), None)
        if not is_carried:
            self.assertIsNone(got, where)
            self.assertTrue(tracks, f"{where}: the other track plays")
            return
        self.assertIsNotNone(got, f"{where}: {[(t['codec'], len(t['packets'])) for t in tracks]}")
        n = len(want["packets"])
        if output == "ts":  # other bytes: start codes, ADTS
            self.assertGreaterEqual(len(got["packets"]), n - n // SECONDS, where)
        else:
            ffmpeg8.assert_same_packets(want, got, where, n - n // SECONDS)

    def run_row(self, codec):
        is_video = codec in ffmpeg8.VIDEO
        path = ffmpeg8.source(codec, "aac") if is_video else ffmpeg8.source("h264", codec)
        want = next(t for t in ffmpeg8.tracks_of_file(path) if t["type"] == (0 if is_video else 1))
        stream, origin, edge = f"live/row_{codec}", self.cluster.origins[0], self.cluster.edges[0]
        players = self.play_all(edge, stream)
        harness.wait_until(lambda: sum(s["stream"] == stream for s in edge.sessions()) >= len(players), 20,
                           "all wait")
        publisher = ffmpeg8.publish(origin.url(stream), path)
        said = harness.wait_until(lambda: (now := self.left_out(edge, stream)) and len(now) == len(players) and now,
                                  20, "all play")
        tracks = {output: ffmpeg8.tracks_of(player) for output, player in players.items()}
        ffmpeg8.finish(publisher)
        row = dict(table()[codec])
        row["rtmp"] = row["flv"]
        for output, is_carried in row.items():
            self.check_output(output, tracks[output], want, is_carried, codec)
            self.assertEqual(said[output], "" if is_carried else f"{'video' if is_video else 'audio'} {codec}",
                             f"{codec} by {output}")

    def test_row_vp8(self):
        """FFmpeg 8 does not write it to FLV, so its packets go in by tags of our own."""
        path = ffmpeg8.source("vp8")
        tags, want = vp8_tags(path), ffmpeg8.tracks_of_file(path)[0]
        stream, edge = "live/row_vp8", self.cluster.edges[0]
        self.assertEqual(table()["vp8"], {"flv": True, "ts": False, "mp4": True})
        mp4 = ffmpeg8.play("http://%s:%d/%s.mp4" % (*edge.http, stream))
        viewers = {form: outputs.Player(edge.http, stream, form) for form in ("flv", "ts")}
        harness.wait_until(lambda: sum(s["stream"] == stream for s in edge.sessions()) >= 3, 20, "all wait")
        enhanced.post_tags(self.cluster.origins[0].http, stream, tags)
        ffmpeg8.assert_same_packets(want, ffmpeg8.tracks_of(mp4)[0], "vp8 by mp4", len(want["packets"]) * 4 // 5)
        got = [tag.body for tag in flv.FlvReader().feed(bytes(viewers["flv"].end().bytes))]
        self.assertEqual(got, [body for _, _, body in tags])
        self.assertEqual(viewers["ts"].end().status, 404)

    def test_table_names_every_codec(self):
        self.assertEqual(sorted(table()), sorted(NAMES.values()))


class MultitrackTest(harness.ClusterTest):
    """Two pictures and two sounds of different codecs in one stream, as FFmpeg 8 sends them."""

    cluster_args = {"origins": 1, "edges": 1, "node_set": {"publisher_grace_ms": "500"}}

    @classmethod
    def setUpClass(cls):
        ffmpeg8.install()
        super().setUpClass()

    def test_all_tracks_go_from_node_to_node_and_the_default_ones_to_who_takes_one(self):
        origin, edge, stream = self.cluster.origins[0], self.cluster.edges[0], "live/tracks"
        files = [ffmpeg8.source("h264", "aac"), ffmpeg8.source("hevc", "opus", seed=9)]
        want = [track for path in files for track in ffmpeg8.tracks_of_file(path)]
        base = "http://%s:%d/%s" % (*edge.http, stream)
        players = {"all": ffmpeg8.play(f"{base}.flv?tracks=all"), "flv": ffmpeg8.play(f"{base}.flv"),
                   "audio": ffmpeg8.play(f"{base}.flv?only=audio"), "mp4 video": ffmpeg8.play(f"{base}.mp4?only=video"),
                   "ts": ffmpeg8.play(f"{base}.ts"), "rtmp": ffmpeg8.play(edge.url(stream), ffmpeg8.ENHANCED),
                   "rtmp audio": ffmpeg8.play(edge.url(stream) + "?only=audio", ffmpeg8.ENHANCED)}
        harness.wait_until(lambda: sum(s["stream"] == stream for s in edge.sessions()) >= len(players), 30,
                           "all wait")
        publisher = ffmpeg8.publish(origin.url(stream), *files)
        played = lambda: [s for s in edge.sessions() if s["stream"] == stream and s["kind"] == "play"]
        said = {(s["protocol"], s["left_out"]) for s in
                harness.wait_until(lambda: len(played()) == len(players) and played(), 20, "all play")}
        tracks = {name: ffmpeg8.tracks_of(player) for name, player in players.items()}
        ffmpeg8.finish(publisher)
        codecs = {name: sorted(t["codec"] for t in found) for name, found in tracks.items()}
        default = sorted([want[0]["codec"], want[1]["codec"]])
        self.assertEqual(codecs, {"all": sorted(t["codec"] for t in want), "flv": default, "ts": default,
                                  "rtmp": default, "audio": [want[1]["codec"]], "rtmp audio": [want[1]["codec"]],
                                  "mp4 video": [want[0]["codec"]]})
        for track in want:
            ffmpeg8.assert_same_packets(track, find(tracks["all"], track["codec"]), track["codec"],
                                        len(track["packets"]) * 3 // 5)
        more = "1 more video track, 1 more audio track"
        self.assertEqual(said, {("flv", ""), ("flv", more), ("ts", more), ("rtmp", more), ("rtmp", ""), ("mp4", "")})
        self.assertIn("left out", edge.log())


class ForeignTest(harness.ClusterTest):
    """A pull over RTMP, which says what it takes, gets what only Enhanced RTMP has names for."""

    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0, "node_set": {"publisher_grace_ms": "500"}}

    @classmethod
    def setUpClass(cls):
        ffmpeg8.install()
        super().setUpClass()

    def test_all_tracks_of_a_foreign_server_come_here(self):
        stream, foreign = "live/tracks", self.cluster.origins[0]
        files = [ffmpeg8.source("hevc", "opus", seed=9), ffmpeg8.source("av1", "aac")]
        want = [track for path in files for track in ffmpeg8.tracks_of_file(path)]
        puller = self.cluster.make_node("edge", 7, pull__sources=[f"{stream}={foreign.url(stream)}"]).learn()
        base = "http://%s:%d/%s" % (*puller.http, stream)
        players = {"all": ffmpeg8.play(f"{base}.flv?tracks=all"), "default": ffmpeg8.play(f"{base}.flv")}
        harness.wait_until(lambda: sum(s["stream"] == stream for s in puller.sessions()) >= len(players), 30,
                           "all wait")
        publisher = ffmpeg8.publish(foreign.url(stream), *files)
        tracks = {name: ffmpeg8.tracks_of(player) for name, player in players.items()}
        ffmpeg8.finish(publisher)
        self.assertEqual(sorted(t["codec"] for t in tracks["all"]), sorted(t["codec"] for t in want))
        self.assertEqual(sorted(t["codec"] for t in tracks["default"]), sorted(t["codec"] for t in want[:2]))
        for track in want:
            ffmpeg8.assert_same_packets(track, find(tracks["all"], track["codec"]), track["codec"],
                                        len(track["packets"]) * 3 // 5)


def add_row(codec):
    def test(self):
        self.run_row(codec)
    setattr(CodecsTest, f"test_row_{codec}", test)


for name in sorted(set(NAMES.values()) - {"vp8"}):  # FFmpeg 8 does not write VP8 to FLV
    add_row(name)

if __name__ == "__main__":
    harness.main()
