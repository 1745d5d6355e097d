"""headwater-tool analyze and remux against ffprobe and ffmpeg: the same frames, times and pictures."""

import json
import os
import subprocess
import tempfile
import unittest

import harness
import media

TOOL = os.path.join(harness.BIN_DIR, "headwater-tool")


def ffmpeg(*args):
    done = subprocess.run([harness.tool("ffmpeg"), "-nostdin", "-v", "error", "-xerror", *args], capture_output=True,
                          text=True, timeout=60)
    assert not done.returncode and not done.stderr, done.stderr
    return done.stdout


def decoded(path, track):
    """Hashes of the decoded frames of a track, v or a, in order."""
    lines = ffmpeg("-i", path, "-map", f"0:{track}", "-f", "framemd5", "-").split("\n")
    return [line.split(",")[-1].strip() for line in lines if line and line[0] != "#"]


def probe(path, track, *entries):
    done = subprocess.run([harness.tool("ffprobe"), "-v", "error", "-select_streams", track, "-show_entries",
                           "packet=" + ",".join(entries), "-of", "json", path], capture_output=True, text=True,
                          timeout=60, check=True)
    return json.loads(done.stdout)["packets"]


class MediaToolsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="headwater-test-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.clip = media.clip("h264_aac")

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def tool(self, *args, stdin=None):
        done = subprocess.run([TOOL, *args], capture_output=True, timeout=60, input=stdin,
                              env={**os.environ, **harness.sanitizer_env()})
        for sign in harness.SANITIZER_SIGNS:
            self.assertNotIn(sign, done.stderr.decode())
        return done

    def analyze(self, path, stdin=None):
        done = self.tool("analyze", path, "--json", "-", stdin=stdin)
        figures = json.loads(done.stdout)
        return done.returncode, figures, {track["kind"]: track for track in figures["tracks"]}

    def transport_stream(self, name, *args):
        path = self.path(name)
        ffmpeg("-y", "-i", self.clip, *args, "-f", "mpegts", path)
        return path

    def test_analyze_counts_what_ffprobe_counts(self):
        for path in (self.clip, self.transport_stream("counted.ts", "-c", "copy")):
            code, figures, tracks = self.analyze(path)
            self.assertEqual((code, figures["bytes"]), (0, os.path.getsize(path)))
            for kind, letter in (("video", "v"), ("audio", "a")):
                packets = probe(path, letter, "dts_time", "flags")
                self.assertEqual(tracks[kind]["frames"], len(packets), (path, kind))
                self.assertAlmostEqual(tracks[kind]["first_seconds"], float(packets[0]["dts_time"]), delta=0.001)
                self.assertAlmostEqual(tracks[kind]["last_seconds"], float(packets[-1]["dts_time"]), delta=0.001)
            keys = sum("K" in packet["flags"] for packet in probe(path, "v", "flags"))
            self.assertEqual(tracks["video"]["key_frames"], keys)
            self.assertEqual(tracks["video"]["gops"]["whole"], keys - 1)
            self.assertEqual(tracks["video"]["nal_types"]["5"], keys)
            self.assertEqual(tracks["video"]["codec"], "h264")
            self.assertEqual(tracks["audio"]["parameters"]["rfc6381"], "mp4a.40.2")

    def test_analyze_says_what_is_broken(self):
        with open(self.transport_stream("holed.ts", "-c", "copy"), "rb") as file:
            packets = file.read()
        holed = packets[:188 * 300] + packets[188 * 310:]
        code, figures, _ = self.analyze("-", stdin=holed)
        self.assertEqual(code, 1)
        self.assertGreater(figures["ts"]["lost"], 0)
        with open(self.clip, "rb") as file:
            clip = file.read()
        done = self.tool("analyze", "-", stdin=clip[:5000] + clip[5003:])
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"standard input: byte ", done.stderr)
        done = self.tool("analyze", "-", stdin=b"a" * 100000)
        self.assertEqual((done.returncode, b"neither FLV nor a transport stream" in done.stderr), (1, True))

    def test_analyze_lists_frames(self):
        lines = self.tool("analyze", self.clip, "--frames").stdout.decode().split("\n")
        self.assertEqual(sum(" video h264 " in line and "configuration" not in line and "end-of" not in line
                             for line in lines),
                         len(probe(self.clip, "v", "flags")))
        self.assertTrue(any(" configuration" in line for line in lines))

    def test_remux_leaves_frames_as_they_are(self):
        ts, flv, back = self.path("a.ts"), self.path("a.flv"), self.path("b.flv")
        for args in ((self.clip, ts), (ts, flv), (flv, back)):
            self.assertEqual(self.tool("remux", *args).returncode, 0)
        for path in (ts, flv, back):
            for track in "va":
                self.assertEqual(decoded(path, track), decoded(self.clip, track), (path, track))
        source = [round(float(p["dts_time"]) * 1000) for p in probe(self.clip, "v", "dts_time")]
        got = [round(float(p["dts_time"]) * 1000) for p in probe(back, "v", "dts_time")]
        self.assertEqual([t - got[0] for t in got], [t - source[0] for t in source])

    def test_remux_gives_one_stream_alone(self):
        for ending, track in ((".h264", "v"), (".aac", "a")):
            path = self.path("alone" + ending)
            self.assertEqual(self.tool("remux", self.clip, path).returncode, 0)
            self.assertEqual(decoded(path, track), decoded(self.clip, track))

    def test_remux_takes_latm(self):
        source, path = self.transport_stream("latm.ts", "-c", "copy", "-mpegts_flags", "latm"), self.path("latm.flv")
        self.assertEqual(self.tool("remux", source, path).returncode, 0)
        self.assertEqual(decoded(path, "a"), decoded(self.clip, "a"))

    def test_usage_errors_give_2(self):
        for args in (("analyze",), ("analyze", self.path("none.flv")), ("analyze", "a", "b"), ("remux", self.clip),
                     ("remux", self.clip, self.path("a.txt")), ("remux", "--what")):
            done = self.tool(*args)
            self.assertEqual(done.returncode, 2, args)
            self.assertTrue(done.stderr.startswith(b"headwater-tool: "), done.stderr)
        for command in ("analyze", "remux"):
            self.assertIn(b"usage: headwater-tool " + command.encode(), self.tool(command, "--help").stdout)


if __name__ == "__main__":
    harness.main()
