"""Recording: where one file ends and the next begins, and codecs that are not H.264 and AAC."""

import os

import flv
import harness
import media
import records
from enhanced import hevc_flv, post_tags
from records import FORMATS, decode, hashes, probe, url, wait_listed


class Splits(records.RecordTest):
    """Where one file ends and the next begins."""

    rule = "live/size* formats=flv split_bytes=100000,* formats=flv|mp4 split_s=2"

    def test_time_cuts_at_key_frames_and_loses_nothing(self):
        self.publish(seconds=6).popen.wait(60)
        for name in ("flv", "mp4"):
            got = [r for r in wait_listed(self.node, self.stream, 6) if r["format"] == name]
            self.assertEqual([r["reason"] for r in got], ["time", "time", "publisher"])
            self.assertEqual([probe(url(self.node, r))["video"] for r in got], [50, 50, 50])
            want = hashes(media.clip("h264_aac", 6))["video"]
            self.assertEqual(sum((hashes(url(self.node, r))["video"] for r in got), []), want)

    def test_size_cuts_at_key_frames(self):
        self.stream = "live/size"
        self.publish(seconds=6).popen.wait(60)
        harness.wait_until(lambda: not [r for r in records.running(self.node, self.stream).values() if r["file"]])
        got = wait_listed(self.node, self.stream, 2)
        self.assertEqual([r["reason"] for r in got][:-1], ["size"] * (len(got) - 1))
        self.assertEqual(sum(probe(url(self.node, r))["video"] for r in got), 150)

    def test_another_publisher_and_other_codecs_begin_new_files(self):
        self.publish("audio_only", 4).popen.wait(60)
        first = wait_listed(self.node, self.stream, 2)
        self.publish("h264_aac", 4).popen.wait(60)
        got = wait_listed(self.node, self.stream, len(first) + 4)
        self.assertEqual({r.get("video") for r in first}, {None})
        self.assertEqual({r.get("video") for r in got[len(first):]}, {"h264"})
        numbers = [int(r["file"].split("-")[1].split(".")[0]) for r in got]
        self.assertEqual(numbers, sorted(set(numbers)))

    def test_sound_that_comes_late_begins_a_new_file(self):
        """Its header comes with it, as encoders send it that add a microphone."""
        tags = [tag for tag in flv.read_file(media.clip("h264_aac", 4)) if tag[0] in (flv.AUDIO, flv.VIDEO)]
        late = [tag for tag in tags if tag[0] == flv.AUDIO and tag[2][1] == 0]
        pictures = [tag for tag in tags if tag[0] == flv.VIDEO]
        sound = [tag for tag in tags if tag[0] == flv.AUDIO and tag[2][1] == 1 and tag[1] >= 1500]
        late = [(flv.AUDIO, 1500, late[0][2])]
        post_tags(self.node.http, self.stream, sorted(pictures + late + sound, key=lambda tag: tag[1]))
        got = [r for r in wait_listed(self.node, self.stream, 4) if r["format"] == "mp4"]
        self.assertEqual((got[0].get("audio"), got[0]["reason"]), (None, "codecs"))
        self.assertEqual([r.get("audio") for r in got[1:]], ["aac"] * (len(got) - 1))


class Codecs(records.RecordTest):
    """Others than H.264 and AAC."""

    def test_hevc_is_in_every_format(self):
        path = os.path.join(self.cluster.folder, "hevc.mp4")
        post_tags(self.node.http, self.stream, hevc_flv(path, 4))
        got = {r["format"]: r for r in wait_listed(self.node, self.stream, len(FORMATS))}
        self.assertEqual({r["video"] for r in got.values()}, {"hevc"})
        for name in ("ts", "mp4", "hls"):  # this ffmpeg cannot read it from FLV
            self.assertEqual(decode(url(self.node, got[name])), 100, name)
        tags = flv.read_file(os.path.join(self.folder, got["flv"]["id"]))
        pictures = [tag for tag in tags if tag[0] == flv.VIDEO and tag[2][1:5] == b"hvc1" and tag[2][0] & 15 != 0]
        self.assertEqual(len(pictures), 100)

    def test_sound_alone_and_mp3(self):
        self.publish("audio_only", 4).popen.wait(60)
        for record in wait_listed(self.node, self.stream, len(FORMATS)):
            self.assertEqual((record.get("video"), record["audio"]), (None, "aac"))
            self.assertAlmostEqual(probe(url(self.node, record))["duration"], 4, delta=1.1)
        self.stream += "_mp3"
        self.publish("h264_mp3", 4).popen.wait(60)
        for record in wait_listed(self.node, self.stream, len(FORMATS)):
            self.assertEqual((record["video"], record["audio"]), ("h264", "mp3"))
            self.assertGreater(probe(url(self.node, record))["audio"], 130)


if __name__ == "__main__":
    harness.main()
