"""HLS renditions that line up: those of one encoder, and of an encoder each, at two nodes."""

import datetime
import os
import subprocess

import harness
import media
from hls import QUICK, Client


class Aligned(harness.ClusterTest):
    """Renditions whose key frames, one a second, are at the same times of their source, started at other
    moments: segments have two GOPs."""
    cluster_args = {"origins": 1, "edges": 1,
                    "node_set": {**QUICK, "hls.segment_ms": "2000", "hls.window_s": "30", "hls.idle_ms": "30000",
                                 "hls.renditions": "_720,_480,_360"}}
    SUFFIXES = {"_720": 0, "_480": 3.4, "_360": 2.4}  # and when each begins

    def run_ffmpeg(self, outputs, name):
        """The clip, in real time by its own time stamps: what starts at 3.4 s comes 3.4 s later."""
        process = harness.Process(name, [harness.tool("ffmpeg"), "-nostdin", "-v", "warning", "-re", "-copyts",
                                         "-i", media.clip("h264_aac", 60), *outputs], self.cluster.folder)
        process.expect_death = True
        return process

    def output(self, stream, suffix):
        late = ["-copypriorss:v", "0", "-copypriorss:a", "0", "-ss", str(self.SUFFIXES[suffix]),
                "-output_ts_offset", str(self.SUFFIXES[suffix])] if self.SUFFIXES[suffix] else []
        return ["-map", "0", "-c", "copy", *late, "-f", "flv", self.cluster.origins[0].url(stream + suffix)]

    def check(self, stream, publishers):
        """Segments of all begin and end together, and are said to have begun at the same time."""
        nodes = [self.cluster.origins[0], self.cluster.edges[0]]
        try:
            for suffix in self.SUFFIXES:
                self.cluster.wait_route(f"{stream}{suffix}")
            for node in nodes:
                clients = [Client(node.http, f"{stream}{suffix}") for suffix in self.SUFFIXES]
                lists = self.all_of(clients)
                for client, other in zip(clients[1:], lists[1:]):
                    self.compare(clients[0], lists[0], client, other)
                self.assertFalse([line for line in node.log_lines("cannot be aligned") if stream in line])
        finally:
            for publisher in publishers:
                publisher.kill()

    def compare(self, client, playlist, other_client, other):
        common = set(playlist.names()) & set(other.names())
        self.assertGreaterEqual(len(common), 4, (playlist.text, other.text))
        for msn in common - {min(other.names())}:  # the first one may be shorter
            self.assertEqual(playlist.names()[msn][1], other.names()[msn][1], (playlist.text, other.text))
            self.assertAlmostEqual(self.wall(playlist, msn), self.wall(other, msn), delta=0.3)
        msn = max(common)
        self.assertAlmostEqual(self.start(client, playlist, msn), self.start(other_client, other, msn), delta=0.01)

    @staticmethod
    def all_of(clients):
        """Playlists of all, when each has five segments."""
        found = []

        def look():
            found[:] = [client.media() for client in clients]
            return all(len(playlist.segments) >= 5 for playlist in found)

        harness.wait_until(look, 40, "five segments of each", step_s=0.2)
        return found

    @staticmethod
    def wall(playlist, msn):
        text = next(s["wall"] for s in playlist.segments if s["uri"] == playlist.names()[msn][0])
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()

    def start(self, client, playlist, msn):
        """Time of the first picture, as ffprobe sees it."""
        path = os.path.join(self.cluster.folder, "start.mp4")
        with open(path, "wb") as file:
            file.write(client.piece(playlist.maps[0])[2] + client.piece(playlist.names()[msn][0])[2])
        out = subprocess.run([harness.tool("ffprobe"), "-v", "error", "-select_streams", "v", "-show_entries",
                              "packet=pts_time", "-of", "csv=p=0", "-read_intervals", "%+#1", path],
                             capture_output=True, text=True, check=True).stdout
        return float(out.split()[0].strip(","))

    def test_outputs_of_one_encoder(self):
        outputs = [word for suffix in self.SUFFIXES for word in self.output("live/one", suffix)]
        self.check("live/one", [self.run_ffmpeg(outputs, "one")])

    def test_an_encoder_each(self):
        self.check("live/each", [self.run_ffmpeg(self.output("live/each", suffix), f"each{suffix}")
                                 for suffix in self.SUFFIXES])

    def test_key_frames_at_other_times_are_said_once(self):
        node = self.cluster.origins[0]
        late = [word for word in self.output("live/off", "_480")]
        late[late.index("-output_ts_offset") + 1] = "3.1"  # another clock
        publishers = [self.run_ffmpeg(self.output("live/off", "_720"), "off-720"), self.run_ffmpeg(late, "off-480")]
        try:
            clients = [Client(node.http, f"live/off{suffix}") for suffix in ("_720", "_480")]
            lists = self.all_of(clients)
            for playlist in lists:
                self.assertEqual({s["duration"] for s in playlist.segments[1:]}, {2.0}, playlist.text)
            said = node.log_lines("cannot be aligned")
            self.assertEqual(len(said), len({line.split("stream=")[1].split()[0] for line in said}), said)
            self.assertTrue(said)
        finally:
            for publisher in publishers:
                publisher.kill()


if __name__ == "__main__":
    harness.main()
