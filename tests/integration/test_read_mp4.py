"""headwater-tool reads MP4: what FFmpeg writes in every layout, and what headwater-tool writes, comes out with the same
bytes and times."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

import harness
import media

TOOL = os.path.join(harness.BIN_DIR, "headwater-tool")
LAYOUTS = {
    "moov-behind": [],
    "moov-in-front": ["-movflags", "+faststart"],
    "no-edit-list": ["-use_editlist", "0"],
    "negative-offsets": ["-movflags", "+negative_cts_offsets"],
    "fragments": ["-movflags", "+frag_keyframe+empty_moov"],
    "tables-then-fragments": ["-movflags", "+frag_keyframe"],
    "base-is-moof": ["-movflags", "+frag_keyframe+empty_moov+default_base_moof"],
    "no-base": ["-movflags", "+frag_keyframe+empty_moov+omit_tfhd_offset"],
    "edit-list-and-fragments": ["-movflags", "+frag_keyframe+delay_moov+default_base_moof"],
    "frame-a-fragment": ["-movflags", "+frag_every_frame+empty_moov+default_base_moof"],
    "cmaf": ["-movflags", "+cmaf+frag_keyframe"],
    "dash": ["-movflags", "+dash+frag_keyframe", "-frag_duration", "400000"],
    "moof-a-track": ["-movflags", "+frag_keyframe+empty_moov+separate_moof"],
}
INPUT = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=2.4", "-f", "lavfi", "-i", "sine=440:r=48000:d=2.4",
         "-pix_fmt", "yuv420p", "-g", "20", "-strict", "-2"]
CODECS = {  # of pictures and sound
    "h264-aac": ["-c:v", "libx264", "-bf", "3", "-c:a", "aac"],
    "avc3-mp3": ["-c:v", "libx264", "-bsf:v", "dump_extra", "-tag:v", "avc3", "-c:a", "libmp3lame"],
    "hevc-ac3": ["-c:v", "libx265", "-x265-params", "log-level=none", "-preset", "ultrafast", "-c:a", "ac3"],
    "hvc1-eac3": ["-c:v", "libx265", "-x265-params", "log-level=none:bframes=2", "-tag:v", "hvc1", "-c:a", "eac3"],
    "vp9-opus": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"],
    "av1-flac": ["-c:v", "libsvtav1", "-preset", "12", "-c:a", "flac", "-strict", "-2"],
}


def ffmpeg(*args):
    done = subprocess.run([harness.tool("ffmpeg"), "-nostdin", "-v", "error", "-y", *args], capture_output=True, text=True,
                          timeout=60)
    assert not done.returncode, done.stderr


def packets(path):
    """Of each track: (decode time, presentation time, bytes, key) of each packet; the first decode time of all is 0."""
    done = subprocess.run([harness.tool("ffprobe"), "-v", "error", "-show_packets", "-show_data_hash", "MD5", "-of", "json", path],
                          capture_output=True, text=True, timeout=60, check=True)
    tracks = {"v": [], "a": []}
    for p in json.loads(done.stdout)["packets"]:
        tracks[p["codec_type"][0]].append((float(p["dts_time"]), float(p["pts_time"]), p["data_hash"], p["flags"][0]))
    begin = min(p[0] for track in tracks.values() for p in track)
    return {track: [(p[0] - begin, p[1] - begin, *p[2:]) for p in them] for track, them in tracks.items()}


class ReadMp4Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="headwater-test-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.read = {}  # of sources

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def encoded(self, codecs):
        path = self.path(codecs + ".mp4")
        if not os.path.exists(path):
            ffmpeg(*INPUT, *CODECS[codecs], path)
        return path

    def mp4(self, codecs, layout):
        path = self.path(f"{codecs}-{layout}.mp4")
        if not os.path.exists(path):
            ffmpeg("-i", self.encoded(codecs), "-c", "copy", "-strict", "-2", *LAYOUTS[layout], path)
        return path

    def tool(self, *args, stdin=None):
        done = subprocess.run([TOOL, *args], capture_output=True, timeout=60, input=stdin,
                              env={**os.environ, **harness.sanitizer_env()})
        for sign in harness.SANITIZER_SIGNS:
            self.assertNotIn(sign, done.stderr.decode())
        return done

    def remux(self, source, target, through_pipe=False, left_out=0):
        stdin = None
        if through_pipe:
            with open(source, "rb") as file:
                stdin = file.read()
        done = self.tool("remux", "-" if through_pipe else source, target, "--json", "-", stdin=stdin)
        self.assertEqual(done.returncode, 0, (source, done.stderr))
        self.assertEqual(json.loads(done.stdout)["left_out"], left_out, source)

    def assert_same(self, got, source, tick_s, what, by_track=False):
        """Bytes, key frames, and times within a tick; by_track: how the tracks lie to each other is not compared."""
        if source not in self.read:
            self.read[source] = packets(source)
        got, source = packets(got), dict(self.read[source])
        for tracks in (got, source) if by_track else ():
            for track, them in tracks.items():
                tracks[track] = [(p[0] - them[0][0], p[1] - them[0][1], *p[2:]) for p in them]
        for track in "va":
            self.assertEqual([p[2:] for p in got[track]], [p[2:] for p in source[track]], (what, track))
            for mine, theirs in zip(got[track], source[track]):
                self.assertAlmostEqual(mine[0], theirs[0], delta=tick_s, msg=(what, track, theirs))
                self.assertAlmostEqual(mine[1], theirs[1], delta=tick_s, msg=(what, track, theirs))

    def test_remux_reads_every_layout_that_ffmpeg_writes(self):
        for layout in LAYOUTS:
            source, target = self.mp4("h264-aac", layout), self.path("layout.mp4")
            for through_pipe in (False, True):
                if through_pipe and layout in ("moov-behind", "no-edit-list", "negative-offsets"):
                    continue
                self.remux(source, target, through_pipe)
                # ffprobe shows pictures of fragments with negative offsets later than the file has them
                self.assert_same(target, source, 1 / 44100, (layout, through_pipe), by_track=layout in ("cmaf", "dash"))

    def test_remux_reads_every_codec_with_tables_and_in_fragments(self):
        for codecs in CODECS:
            for layout in ("moov-behind", "edit-list-and-fragments"):
                source, target = self.mp4(codecs, layout), self.path("codec.mp4")
                self.remux(source, target)
                self.assert_same(target, source, 1 / 44100, (codecs, layout))

    def test_another_moov_of_other_codecs_is_told_or_left_out(self):
        sources = [self.mp4(codecs, "edit-list-and-fragments") for codecs in ("h264-aac", "hevc-ac3")]
        both, ts, mp4 = self.path("both.mp4"), self.path("both.ts"), self.path("of-both.mp4")
        with open(both, "wb") as file:
            for source in sources:
                with open(source, "rb") as part:
                    shutil.copyfileobj(part, file)
        self.remux(both, ts)
        tracks = json.loads(self.tool("analyze", ts, "--json", "-").stdout)["tracks"]
        self.assertEqual({t["codec"]: t["codec_changes"] for t in tracks}, {"hevc": 1, "ac3": 1})
        self.remux(both, mp4, left_out=1 + sum(map(len, packets(sources[1]).values())))  # with their configuration
        self.assert_same(mp4, sources[0], 1 / 44100, "the codecs that it began with")

    def test_flv_to_mp4_and_back_is_the_same(self):
        clip, mp4, flv = media.clip("h264_aac"), self.path("there.mp4"), self.path("back.flv")
        self.remux(clip, mp4, left_out=2)  # metadata, and the end of the sequence
        self.remux(mp4, flv)
        self.assert_same(flv, clip, 0.0001, "FLV")
        source = self.mp4("h264-aac", "moov-behind")  # with B-frames and priming
        self.remux(source, flv)
        self.assert_same(flv, source, 0.0011, "of MP4")

    def test_ts_to_mp4_and_back_is_the_same(self):
        for codecs in ("h264-aac", "hevc-ac3"):
            ts, mp4, back = self.path(codecs + ".ts"), self.path("there.mp4"), self.path("back.ts")
            ffmpeg("-i", self.encoded(codecs), "-c", "copy", ts)
            self.remux(ts, mp4)
            self.remux(mp4, back)
            self.assert_same(self.again(back), self.again(ts), 1 / 44100, codecs)

    def again(self, ts):
        """A transport stream as MP4, where frames have no delimiters."""
        target = ts + ".mp4"
        self.remux(ts, target)
        return target

    def test_tracks_begin_when_edit_lists_say(self):
        target = self.path("late.flv")
        encoded = self.encoded("h264-aac")
        for track in "va":
            late = self.path(f"late-{track}.mp4")
            ffmpeg("-i", encoded, "-itsoffset", "0.7", "-i", encoded, "-map", "1:" + track, "-map",
                   "0:" + ("a" if track == "v" else "v"), "-c", "copy", late)
            self.remux(late, target)
            self.assert_same(target, late, 0.0011, "late: " + track)

    def test_analyze_reads_mp4(self):
        for layout in ("moov-behind", "fragments"):
            source = self.mp4("h264-aac", layout)
            done = self.tool("analyze", source, "--json", "-")
            figures = json.loads(done.stdout)
            self.assertEqual((done.returncode, figures["container"], figures["bytes"]),
                             (0, "mp4", os.path.getsize(source)), done.stderr)
            frames = {track["kind"]: track["frames"] for track in figures["tracks"]}
            read = packets(source)
            self.assertEqual(frames, {"video": len(read["v"]), "audio": len(read["a"])})

    def test_moov_behind_the_media_is_an_error_that_says_what_to_do_in_a_pipe(self):
        with open(self.mp4("h264-aac", "moov-behind"), "rb") as file:
            done = self.tool("remux", "-", self.path("pipe.flv"), stdin=file.read())
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"moov is behind the media", done.stderr)
        self.assertIn(b"+faststart", done.stderr)

    def test_standard_input_that_is_a_file_can_be_sought_in(self):
        source, target = self.mp4("h264-aac", "moov-behind"), self.path("stdin.mp4")
        with open(source, "rb") as file:
            done = subprocess.run([TOOL, "remux", "-", target], stdin=file, capture_output=True, timeout=60,
                                  env={**os.environ, **harness.sanitizer_env()})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_same(target, source, 1 / 44100, "stdin")

    def test_files_that_were_cut_off_are_read_as_far_as_they_go(self):
        for layout, said in (("moov-in-front", "ends before its last frame"), ("fragments", "ends before its last frame"),
                             ("moov-behind", "ends in the middle of a box")):
            cut, target = self.path("cut.mp4"), self.path("cut.flv")
            source = self.mp4("h264-aac", layout)
            with open(source, "rb") as whole, open(cut, "wb") as file:
                file.write(whole.read(os.path.getsize(source) * 2 // 3))
            done = self.tool("remux", cut, target, "--json", "-")
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, json.loads(done.stdout)["error"], layout)
            if layout != "moov-behind":
                whole = packets(source)["v"]
                part = packets(target)["v"]
                self.assertGreater(len(part), len(whole) // 3)
                self.assertEqual([p[2] for p in part], [p[2] for p in whole][:len(part)])

    def test_what_cannot_be_read_is_told_with_its_place(self):
        with open(self.mp4("h264-aac", "moov-in-front"), "rb") as file:
            whole = file.read()
        at = whole.index(b"stts")
        for bad, said in ((whole[:at + 8] + b"\x7f\xff\xff\xff" + whole[at + 12:], f"stts at byte {at + 4}: 2147483647 rows"),
                          (whole.replace(b"avc1\0", b"encv\0"), "is encrypted"),
                          (whole.replace(b"avc1\0", b"abcd\0").replace(b"mp4a\0", b"efgh\0"), "sample entry efgh has no place"),
                          (whole.replace(b"moov", b"moof", 1), "moof at byte")):
            path = self.path("bad.mp4")
            with open(path, "wb") as file:
                file.write(bad)
            done = self.tool("remux", path, self.path("bad.flv"))
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, done.stderr.decode())


if __name__ == "__main__":
    harness.main()
