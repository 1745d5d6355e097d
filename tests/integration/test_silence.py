"""silent_audio: pictures alone have a silent AAC track at every output, until sound comes."""

from fractions import Fraction

import everyone
import flv
import harness
import media
import outputs

SECONDS = 4
AAC_FRAME = Fraction(1024, 44100)
START_S = 0.75       # tracks_wait_ms, for sound that might come yet, and what a slow build takes; as long as
                     # LEARN_MAX_US, behind which fMP4's first init section has no sound
GAP_S = 0.12         # where sound takes over, at the most
KEY_S = 1.05         # in MP4 a track that changes waits for the next key frame; segments' first one has what was
                     # known when it began


def sound_from(tags, ms):
    """Pictures, and from then on the sound."""
    sound = [t for t in tags if t.type == flv.AUDIO]
    late = [sound[0]._replace(ts=ms)] + [t for t in sound[1:] if t.ts >= ms]
    return sorted([t for t in tags if t.type == flv.VIDEO] + late, key=lambda t: t.ts)


class SilenceTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 1, "node_set": {**everyone.NODE_SET, "silent_audio": "true"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tags = everyone.media_of(flv.read_file(media.clip("h264_aac", SECONDS)))
        cls.streams = {"live/mute": [t for t in tags if t.type == flv.VIDEO], "live/late": sound_from(tags, 2000),
                       "live/sound": tags}
        cls.played = everyone.play_at_once(cls.cluster, {stream: everyone.in_time(sent)
                                                         for stream, sent in cls.streams.items()})

    def outputs(self, stream):
        """(output, {kind: [(dts, pts)]}, tick, {codec: [n, sizes]}) of what decodes without a complaint."""
        for output, data in self.played[stream][1].items():
            with self.subTest(stream=stream, output=output):
                pieces = everyone.pieces_of_mp4(data) if output.endswith("mp4") else [data]
                times, decoded = {}, {}
                for i, piece in enumerate(pieces):
                    path = everyone.save(self.cluster.folder, f"{stream[5:]}-{output}-{i}.bin", piece)
                    outputs.decode(path)
                    found, ticks = outputs.packets(path)
                    for kind, track in found.items():
                        times.setdefault(kind, []).extend(p[:2] for p in track)
                    for codec, (n, _) in everyone.shown(path).items():
                        decoded[codec] = decoded.get(codec, 0) + n
                yield output, times, max(*ticks.values(), Fraction(1, 1000)), decoded

    def check_pictures(self, stream, times, tick, output):
        """All of them, at their times. Returns how the clock was moved."""
        want = everyone.times_of(self.streams[stream])["video"]
        return everyone.assert_times({"video": want}, {"video": times["video"]}, tick, output)

    def test_pictures_alone_have_silence_to_their_end(self):
        for output, times, tick, decoded in self.outputs("live/mute"):
            self.assertEqual(set(decoded), {"h264", "aac"})
            shift = self.check_pictures("live/mute", times, tick, output)
            first, last = (float(times["audio"][i][0] - shift) for i in (0, -1))
            self.assertLess(first, KEY_S if output == "hls-fmp4" else START_S)
            self.assertGreater(last, SECONDS - 0.1)
            for i, (dts, _) in enumerate(times["audio"]):
                self.assertLessEqual(abs(dts - times["audio"][0][0] - i * AAC_FRAME), tick + Fraction(1, 1000), i)

    def test_late_sound_takes_over_in_time(self):
        want = [t[0] for t in everyone.times_of(self.streams["live/late"])["audio"]]
        for output, times, tick, decoded in self.outputs("live/late"):
            self.assertEqual(set(decoded), {"h264", "aac"})
            shift = self.check_pictures("live/late", times, tick, output)
            sound = [dts - shift for dts, _ in times["audio"]]
            gap_s = KEY_S if output.endswith("mp4") else GAP_S
            everyone.assert_goes_on({"audio": times["audio"]}, output, gap_s)
            real = [dts for dts in sound if dts > 2 + gap_s]
            due = [dts for dts in want if dts > 2 + gap_s]
            self.assertEqual(len(real), len(due))
            for have, dts in zip(real, due):
                self.assertLessEqual(abs(have - dts), tick)

    def test_stream_with_sound_is_left_as_it_is(self):
        for output, times, tick, _ in self.outputs("live/sound"):
            everyone.assert_times(everyone.times_of(self.streams["live/sound"]), times, tick, output)


if __name__ == "__main__":
    harness.main()
