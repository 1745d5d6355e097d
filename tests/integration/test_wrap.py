"""Clocks that begin anew: 2^32 ms of RTMP, 2^33 ticks of transport streams, and encoders whose clock leaps. Every
output goes on, without a step that the source did not make."""

from fractions import Fraction

import everyone
import flv
import harness
import media
import outputs

SECONDS = 4
HOUR_MS = 3_600_000
LEAPS = {1000: 5, 2000: -3, 3000: 40}  # from when on, by how many hours
# Half of the clip is before the border.
BORDERS_MS = {"2 to the 32 ms": 1 << 32, "2 to the 31 ms": 1 << 31, "2 to the 33 ticks": (1 << 33) // 90}


def name_of(what):
    return f"live/{what.replace(' ', '_')}"


def leaping(tags):
    """At even times, with a clock that leaps."""
    return [(tag.ts, tag._replace(ts=tag.ts + HOUR_MS * (10 + sum(n for at, n in LEAPS.items() if tag.ts >= at))))
            for tag in tags]


class WrapTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 1, "node_set": everyone.NODE_SET}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tags = everyone.media_of(flv.read_file(media.clip("h264_aac", SECONDS)))
        streams = {name_of(what): everyone.in_time(cls.tags, ms - SECONDS * 500) for what, ms in BORDERS_MS.items()}
        cls.played = everyone.play_at_once(cls.cluster, {**streams, "live/leaps": leaping(cls.tags)})

    def outputs(self, stream):
        for output, data in self.played[stream][1].items():
            with self.subTest(stream=stream, output=output):
                self.path = everyone.save(self.cluster.folder, f"{stream[5:]}-{output}.bin", data)
                outputs.decode(self.path)
                yield output, data

    def times(self, output, data):
        """And the tick. By readers of our own where times wrap, by ffprobe where they do not."""
        if output in ("flv", "rtmp"):
            return everyone.times_of(flv.FlvReader().feed(data)), Fraction(1, 1000)
        if output.endswith("ts"):
            return everyone.times_of_ts(data)[0], Fraction(1, 90_000)
        found, ticks = outputs.packets(self.path)
        return {kind: [p[:2] for p in track] for kind, track in found.items()}, max(ticks.values())

    def test_clocks_that_wrap_go_on_at_every_output(self):
        want = everyone.times_of(self.tags)
        for what in BORDERS_MS:
            for output, data in self.outputs(name_of(what)):
                everyone.assert_times(want, *self.times(output, data), output)

    def test_times_are_those_of_the_source_and_wrap_there(self):
        for what, output, wrap in (("2 to the 32 ms", "flv", 1 << 32), ("2 to the 33 ticks", "ts", 1 << 33)):
            _, got = self.played[name_of(what)]
            if output == "flv":
                stamps = [tag.ts for tag in everyone.frames_of(flv.FlvReader().feed(got[output]))]
            else:
                stamps = [p.dts % wrap for p in everyone.times_of_ts(got[output])[1].pes]
            self.assertTrue(max(stamps) > wrap * 0.99 and min(stamps) < wrap * 0.01, what)

    def test_leaps_of_hours_are_gone_at_every_output(self):
        n_pictures = sum(tag.type == flv.VIDEO for tag in everyone.frames_of(self.tags))
        for output, data in self.outputs("live/leaps"):
            times, _ = self.times(output, data)
            self.assertEqual(len(times["video"]), n_pictures)
            everyone.assert_goes_on(times, output, 0.12)


if __name__ == "__main__":
    harness.main()
