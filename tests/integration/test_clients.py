"""Real players and the variants of real encoders."""

import os
import re
import signal
import subprocess
import unittest

import harness
import media


class PlayersTest(harness.ClusterTest):
    """One stream; each player takes two or three seconds of it at an edge."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.publisher = media.publish(media.clip("h264_aac"), cls.cluster.origins[0].url("live/x"),
                                      cls.cluster.folder, loop=True)
        cls.cluster.wait_route("live/x")

    @classmethod
    def tearDownClass(cls):
        cls.publisher.kill()
        super().tearDownClass()

    def play(self, *argv, env=None):
        done = subprocess.run([harness.tool(argv[0]), *argv[1:]], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                              env={**os.environ, **(env or {})})
        self.assertEqual(done.returncode, 0, done.stdout[-2000:])
        return done.stdout

    def urls(self):
        edge1, edge2 = self.cluster.edges
        return [edge1.url("live/x"), edge2.url("live/x", "http"), self.cluster.entry("live/x")]

    def test_rtmpdump_records_a_playable_file(self):
        out = os.path.join(self.cluster.folder, "dump.flv")
        argv = [harness.tool("rtmpdump"), "--live", "-o", out, "-r", self.cluster.edges[0].url("live/x")]
        recorder = harness.Process("rtmpdump", argv, self.cluster.folder)
        # Its progress: "123.781 kB / 3.56 sec". A live recording is ended by Ctrl-C.
        try:
            harness.wait_until(lambda: re.search(r"[1-9]\d\d\.\d+ kB / ", recorder.log()), 20,
                               lambda: f"rtmpdump records: {recorder.tail()}")
        finally:
            recorder.signal(signal.SIGINT)
            recorder.popen.wait(10)
        packets = self.play("ffprobe", "-v", "error", "-count_packets", "-show_entries",
                            "stream=codec_name,nb_read_packets", "-of", "csv=p=0", out)
        counts = dict(line.split(",") for line in packets.split())
        self.assertGreater(int(counts["h264"]), 50)
        self.assertGreater(int(counts["aac"]), 80)

    def test_mpv_plays_every_url(self):
        for url in self.urls():
            with self.subTest(url=url):
                said = self.play("mpv", "--no-config", "--vo=null", "--ao=null", "--length=2",
                                 "--msg-level=all=warn", "--untimed", url)
                self.assertNotIn("Failed", said)

    def test_ffplay_plays_every_url(self):
        # ffplay has no end on a live stream: its clock shows that it plays, then it is stopped.
        clock = re.compile(r"(\d+\.\d+) A-V:")
        for i, url in enumerate(self.urls()):
            with self.subTest(url=url):
                argv = [harness.tool("ffplay"), "-v", "error", "-stats", "-autoexit", url]
                player = harness.Process(f"ffplay{i}", argv, self.cluster.folder, {
                    "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"})
                try:
                    harness.wait_until(lambda: len(set(clock.findall(player.log()))) > 30, 20,
                                       lambda: f"ffplay's clock runs: {player.log()[-500:]}")
                    self.assertTrue(player.is_alive())
                finally:
                    player.kill()

    def test_ffmpeg_decodes_without_an_error(self):
        for url in self.urls():
            with self.subTest(url=url):
                said = self.play("ffmpeg", "-nostdin", "-v", "error", "-i", url, "-t", "3", "-f", "null", "-")
                self.assertEqual(said.strip(), "")


class EncodersTest(harness.ClusterTest):
    """ffmpeg as it is really called, and what of it comes out at an edge."""

    cluster_args = {"edges": 1}

    def publish_and_play(self, clip, publish_url, play_stream, *flags):
        publisher = media.publish(media.clip(clip), publish_url, self.cluster.folder, loop=True, flags=flags)
        try:
            self.cluster.wait_route(play_stream)
            url = self.cluster.edges[0].url(play_stream, "http")
            argv = [harness.tool("ffprobe"), "-v", "error", "-read_intervals", "%+2", "-count_packets",
                    "-show_entries", "stream=codec_name,nb_read_packets", "-of", "csv=p=0", url]
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=60)
        finally:
            publisher.kill()
        self.assertEqual(done.returncode, 0, publisher.tail())
        return {line.split(",")[0]: int(line.split(",")[1]) for line in done.stdout.split()}

    def rtmp(self, path):
        return "rtmp://%s:%d/%s" % (*self.cluster.origins[0].rtmp, path)

    def test_publish_without_duration_and_filesize(self):
        got = self.publish_and_play("h264_aac", self.rtmp("live/plain"), "live/plain",
                                    "-flvflags", "no_duration_filesize")
        self.assertGreater(min(got["h264"], got["aac"]), 20)

    def test_publish_under_an_app_of_two_parts(self):
        got = self.publish_and_play("h264_mp3", self.rtmp("live/sub/x"), "live/sub/x",
                                    "-rtmp_app", "live/sub", "-rtmp_playpath", "x")
        self.assertGreater(min(got["h264"], got["mp3"]), 20)

    def test_publish_with_a_query_behind_the_name(self):
        got = self.publish_and_play("audio_only", self.rtmp("live/query?token=a%20b&x=1"), "live/query")
        self.assertGreater(got["aac"], 20)

    def test_publish_with_a_vhost_behind_the_app(self):
        got = self.publish_and_play("video_only", self.rtmp("live/vhost"), "live/vhost",
                                    "-rtmp_app", "live?vhost=example.org", "-rtmp_playpath", "vhost")
        self.assertGreater(got["h264"], 20)

    def test_publish_with_a_trailing_slash_behind_the_app(self):
        got = self.publish_and_play("video_only", self.rtmp("live/slash"), "live/slash",
                                    "-rtmp_app", "live/", "-rtmp_playpath", "slash")
        self.assertGreater(got["h264"], 20)


if __name__ == "__main__":
    unittest.main(verbosity=2)
