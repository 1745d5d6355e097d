"""?only=audio and ?only=video at every output: one track, which decodes and keeps its times."""

from fractions import Fraction

import everyone
import flv
import harness
import media
import outputs

SECONDS = 4


class OnlyTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 1, "node_set": everyone.NODE_SET}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tags = everyone.media_of(flv.read_file(media.clip("h264_aac", SECONDS)))
        sent = everyone.in_time(cls.tags)
        cls.played = everyone.play_at_once(cls.cluster, {f"live/{kind}?only={kind}": sent
                                                         for kind in ("audio", "video")})

    def check(self, kind, codec):
        """All of the track, at even distances from those of the source; nothing of the other one."""
        want = everyone.times_of(self.tags)[kind]
        for output, data in self.played[f"live/{kind}?only={kind}"][1].items():
            with self.subTest(output=output):
                path = everyone.save(self.cluster.folder, f"only-{kind}-{output}.bin", data)
                outputs.decode(path)
                self.assertEqual(list(everyone.shown(path)), [codec])
                found, ticks = outputs.packets(path)
                times = {kind: [p[:2] for p in found[kind]]}
                everyone.assert_times({kind: want}, times, max(*ticks.values(), Fraction(1, 1000)), output, may_miss=3)

    def test_sound_alone(self):
        self.check("audio", "aac")

    def test_pictures_alone(self):
        self.check("video", "h264")

    def test_flv_says_what_there_is(self):
        for kind, type_id in (("audio", flv.AUDIO), ("video", flv.VIDEO)):
            for output in ("flv", "rtmp"):
                tags = flv.FlvReader().feed(self.played[f"live/{kind}?only={kind}"][1][output])
                self.assertEqual({t.type for t in tags} - {flv.SCRIPT}, {type_id})
            head = self.played[f"live/{kind}?only={kind}"][1]["flv"][4]
            self.assertEqual(head, {"audio": 4, "video": 1}[kind])


if __name__ == "__main__":
    harness.main()
