"""Another picture size and other codecs in mid-stream: what players of every output get, decoded."""

import threading
from fractions import Fraction

import everyone
import flv
import harness
import media
import outputs
import second_opinion as ffmpeg8
import test_tracks
import timing

GOPS = 2  # of each part


def section(tags, first_gop, at_ms):
    """Two seconds of a source: its headers, then whole GOPs and the sound beside them, from at_ms on."""
    tags = everyone.media_of(tags)
    keys = [t.ts for t in everyone.frames_of(tags) if t.type == flv.VIDEO and flv.is_key_frame(t.body)]
    begin, end = keys[first_gop], keys[first_gop + GOPS]
    frames = [t for t in everyone.frames_of(tags) if begin <= t.ts < end]
    frames.sort(key=lambda t: (t.ts, t.type == flv.AUDIO))
    headers = [t._replace(ts=begin) for t in tags if flv.is_sequence_header(t.type, t.body)]
    return [t._replace(ts=t.ts - begin + at_ms) for t in headers + frames]


def only(tags, kind):
    return [t for t in tags if t.type == kind]


class ChangesTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 2, "node_set": everyone.NODE_SET}

    @classmethod
    def setUpClass(cls):
        ffmpeg8.install()
        super().setUpClass()
        cls.streams = {"live/size": cls.size(), "live/codec": cls.codecs()}
        sent = {stream: everyone.in_time(sum(parts, [])) for stream, parts in cls.streams.items()}
        timer = threading.Timer(5, cls.come_late)
        timer.start()
        cls.played = everyone.play_at_once(cls.cluster, sent)
        timer.join()
        cls.late_segments = {container: (gatherer.end(20), gatherer.segments)[1]
                             for container, gatherer in cls.late.items()}

    @classmethod
    def come_late(cls):
        """To another edge, when two of three changes are over."""
        cls.late = {container: timing.HlsGatherer(cls.cluster.edges[1].http, "live/codec", container)
                    for container in ("ts", "fmp4")}

    @staticmethod
    def size():
        """The sound stays; the pictures become larger."""
        first, wide = (flv.read_file(media.clip(name, 6)) for name in ("h264_aac", "wide"))
        after = [t for t in section(first, GOPS, 2000) if everyone.is_frame(t)]
        return [section(first, 0, 0), sorted(only(section(wide, 0, 2000), flv.VIDEO) + only(after, flv.AUDIO),
                                             key=lambda t: t.ts)]

    @staticmethod
    def codecs():
        """Other pictures, other sound, then both at once."""
        names = [("h264", "aac"), ("hevc", "aac"), ("hevc", "opus"), ("h264", "aac")]
        return [section(test_tracks.flv_of(ffmpeg8.source(*name)), i % 2 * GOPS, i * 2000)
                for i, name in enumerate(names)]

    def pieces(self, stream, output):
        """Of what a player got: one for each configuration, as the format says that there is a new one."""
        everyone_there, got = self.played[stream]
        if output.startswith("hls"):
            return everyone_there.runs[output]
        return (everyone.pieces_of_ts if output == "ts" else everyone.pieces_of_mp4)(got[output])

    def check_bodies(self, stream):
        """FLV and RTMP: all as it came in, headers too, at the same times."""
        sent = sum(self.streams[stream], [])
        for output in ("flv", "rtmp"):
            got = everyone.media_of(flv.FlvReader().feed(self.played[stream][1][output]))
            for kind in (flv.VIDEO, flv.AUDIO):
                bodies = [t.body for t in only(got, kind)]
                want = [t.body for t in only(sent, kind)]
                self.assertEqual(without_doubles(bodies), without_doubles(want), f"{output} of {stream}: {kind}")
            everyone.assert_times(everyone.times_of(sent), everyone.times_of(got), 0, output)

    def check_pieces(self, stream, output, want):
        """want: [{codec: sizes}] of each piece. Every picture and sound decodes, none is missing."""
        pieces, sent = self.pieces(stream, output), sum(self.streams[stream], [])
        self.assertEqual(len(pieces), len(want), f"{output}: pieces")
        times = {}
        for i, (piece, codecs) in enumerate(zip(pieces, want)):
            where = f"{output} of {stream}, piece {i}"
            path = everyone.save(self.cluster.folder, f"{stream[5:]}-{output}-{i}.bin", piece)
            outputs.decode(path)
            got = everyone.shown(path)
            self.assertEqual({name: sizes for name, (_, sizes) in got.items()}, codecs, where)
            found, ticks = outputs.packets(path)
            for kind, track in found.items():
                times.setdefault(kind, []).extend(p[:2] for p in track)
        tick = max(*ticks.values(), Fraction(1, 1000))
        everyone.assert_times(everyone.times_of(sent), times, tick, output)

    def test_flv_and_rtmp_carry_all_as_it_came(self):
        for stream in self.streams:
            self.check_bodies(stream)

    def test_pictures_of_another_size_decode_at_every_output(self):
        for output in ("ts", "mp4", "hls-ts", "hls-fmp4"):
            with self.subTest(output=output):
                want = [{"h264": {size}, "aac": set()} for size in ((320, 240), (480, 272))]
                if output.endswith("ts"):  # says it in band
                    want = [{"h264": {(320, 240), (480, 272)}, "aac": set()}]
                self.check_pieces("live/size", output, want)

    def test_segments_say_a_discontinuity_for_each_change_of_codec(self):
        for stream, n in (("live/size", 0), ("live/codec", 3)):
            for gatherer in self.played[stream][0].hls.values():
                eras = [segment["era"] for _, segment in sorted(gatherer.segments.items())]
                self.assertEqual((eras[0], eras[-1]), (0, n), f"{gatherer.name}: {eras}")
                self.assertEqual(eras, sorted(eras))

    def test_edge_that_comes_late_has_the_same_segments_and_counts(self):
        for gatherer in self.played["live/codec"][0].hls.values():
            late = self.late_segments[gatherer.container]
            self.assertGreaterEqual(len(late), 2, gatherer.name)
            for msn, segment in late.items():
                early = gatherer.segments[msn]
                for key in ("uri", "map", "duration", "era"):
                    self.assertEqual(segment[key], early[key], f"{gatherer.name}, {msn}: {key}")
                if gatherer.container == "fmp4":
                    self.assertEqual(segment["bytes"], early["bytes"], msn)

    def test_other_codecs_decode_at_every_output(self):
        size = {(160, 120)}
        want = [{"h264": size, "aac": set()}, {"hevc": size, "aac": set()}, {"hevc": size, "opus": set()},
                {"h264": size, "aac": set()}]
        for output in ("ts", "mp4", "hls-ts", "hls-fmp4"):
            with self.subTest(output=output):
                self.check_pieces("live/codec", output, want)


def without_doubles(bodies):
    """Headers may be said again."""
    return [body for i, body in enumerate(bodies) if not i or body != bodies[i - 1]]


if __name__ == "__main__":
    harness.main()
