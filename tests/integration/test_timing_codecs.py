"""HEVC, AV1 and Opus at every output that carries them: FFmpeg 8 publishes, and every frame it reads there has its
time to the tick."""

import os
from fractions import Fraction

import everyone
import flv
import harness
import second_opinion as ffmpeg8
import test_tracks
import timing
from outputs import FORMS, Player

SECONDS = 10
FILES = {"live/hevc": ("hevc", "opus"), "live/av1": ("av1", "opus"), "live/aac": ("av1", "aac")}


class CodecTimingTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 1, "node_set": everyone.NODE_SET}

    @classmethod
    def setUpClass(cls):
        ffmpeg8.install()
        super().setUpClass()
        for stream, codecs in FILES.items():  # as FLV: milliseconds are exact then
            test_tracks.flv_of(ffmpeg8.source(*codecs, seconds=SECONDS))
        cls.want, cls.paths, cls.rtmp = {}, {}, {}
        for stream, codecs in FILES.items():
            path = ffmpeg8.source(*codecs, seconds=SECONDS)[:-4] + ".flv"
            cls.want[stream] = everyone.times_of(flv.read_file(path))
            cls.paths[stream] = cls.gather(stream, path)

    @classmethod
    def gather(cls, stream, path):
        """{output: path} of what players at an edge got; over RTMP it is FFmpeg 8 that plays."""
        edge, folder = cls.cluster.edges[0], cls.cluster.folder
        players = {f"{'ws' if ws else 'http'}-{form}": Player(edge.http, stream, form, ws)
                   for form in FORMS for ws in (False, True)}
        cls.rtmp[stream] = ffmpeg8.play(edge.url(stream), ffmpeg8.ENHANCED)
        harness.wait_until(lambda: sum(s["stream"] == stream for s in edge.sessions()) == len(players) + 1, 20,
                           "all wait")
        publisher = ffmpeg8.publish(cls.cluster.origins[0].url(stream), path)
        gatherers = {f"hls-{c}": timing.HlsGatherer(edge.http, stream, c) for c in ("ts", "fmp4")}
        got = {name: player.end(SECONDS + 30) for name, player in {**players, **gatherers}.items()}
        ffmpeg8.finish(publisher)
        return {name: everyone.save(folder, f"{stream[5:]}-{name}.bin", data if isinstance(data, bytes) else data.bytes)
                for name, data in got.items()}

    def check(self, stream, output, tracks):
        """What FFmpeg 8 read, to a tick of the output."""
        got, bases = {}, [Fraction(*track["time_base"]) for track in tracks]
        for track, base in zip(tracks, bases):
            got["audio" if track["type"] == 1 else "video"] = [(dts * base, pts * base) for dts, pts in track["ticks"]]
        everyone.assert_times(self.want[stream], got, max(bases), f"{output} of {stream}", may_miss=3)

    def test_http_and_websockets_and_hls(self):
        for stream in FILES:
            for output, path in self.paths[stream].items():
                with self.subTest(stream=stream, output=output):
                    tracks = ffmpeg8.tracks_of(ffmpeg8.play(path))
                    self.check(stream, output, tracks)

    def test_rtmp(self):
        for stream, player in self.rtmp.items():
            with self.subTest(stream=stream):
                self.check(stream, "rtmp", ffmpeg8.tracks_of(player))


if __name__ == "__main__":
    harness.main()
