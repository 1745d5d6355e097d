"""headwater-tool analyze and remux against ffprobe and ffmpeg: the same frames, times and pictures."""

import contextlib
import json
import os
import shutil
import signal
import struct
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
        self.assertEqual((done.returncode, b"neither FLV, MP4 nor a transport stream" in done.stderr), (1, True))

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

    def test_remux_writes_mp4_that_can_be_sought_in(self):
        mp4 = self.path("a.mp4")
        for source in (self.clip, self.transport_stream("to.ts", "-c", "copy")):
            self.assertEqual(self.tool("remux", source, mp4).returncode, 0)
            for track in "va":
                self.assertEqual(decoded(mp4, track), decoded(source, track), (source, track))
            boxes, at = [], 0
            with open(mp4, "rb") as file:
                data = file.read()
            while at < len(data):
                size = int.from_bytes(data[at:at + 4], "big")
                boxes.append(data[at + 4:at + 8])
                at += size if size != 1 else int.from_bytes(data[at + 8:at + 16], "big")
            self.assertEqual(boxes, [b"ftyp", b"mdat", b"moov"])

    def test_flv_files_list_their_key_frames(self):
        flv = self.path("sought.flv")
        self.assertEqual(self.tool("remux", self.clip, flv).returncode, 0)
        keys = [p for p in probe(flv, "v", "dts_time", "flags", "pos") if "K" in p["flags"]]
        with open(flv, "rb") as file:
            meta = file.read(16400)
        self.assertIn(b"onMetaData", meta)
        def numbers(name):
            at = meta.index(name) + len(name) + 1
            n = struct.unpack(">I", meta[at:at + 4])[0]
            return [struct.unpack(">d", meta[at + 5 + 9 * i:at + 13 + 9 * i])[0] for i in range(n)]
        self.assertEqual([round(t, 3) for t in numbers(b"\x00\x05times")], [float(p["dts_time"]) for p in keys])
        with open(flv, "rb") as file:
            data = file.read()
        for at in numbers(b"\x00\x0dfilepositions"):
            self.assertEqual((data[int(at)], data[int(at) + 11] >> 4), (9, 1))  # a video tag, a key frame

    def test_remux_gives_one_stream_alone(self):
        for ending, track in ((".h264", "v"), (".aac", "a")):
            path = self.path("alone" + ending)
            self.assertEqual(self.tool("remux", self.clip, path).returncode, 0)
            self.assertEqual(decoded(path, track), decoded(self.clip, track))

    def test_remux_takes_latm(self):
        source, path = self.transport_stream("latm.ts", "-c", "copy", "-mpegts_flags", "latm"), self.path("latm.flv")
        self.assertEqual(self.tool("remux", source, path).returncode, 0)
        self.assertEqual(decoded(path, "a"), decoded(self.clip, "a"))

    def test_remux_says_when_what_it_reads_was_cut_off(self):
        for name, cut in (("cut.flv", 50001), ("cut.ts", 188 * 200 + 100), ("cut.flv", 0)):
            whole = self.clip if name.endswith("flv") else self.transport_stream("whole.ts", "-c", "copy")
            with open(whole, "rb") as source, open(self.path(name), "wb") as file:
                file.write(source.read(cut))
            for args in (("remux", self.path(name), self.path("cut.mp4")), ("analyze", self.path(name))):
                done = self.tool(*args, "--json", "-")
                self.assertEqual(done.returncode, 1, args)
                self.assertIn("ends in the middle" if cut else "is empty", json.loads(done.stdout)["error"])
            if cut == 50001:  # what was there is there; of TS, the last picture may be half
                self.assertGreater(len(decoded(self.path("cut.mp4"), "v")), 20)

    def test_remux_that_is_interrupted_leaves_a_file_that_plays(self):
        with open(self.clip, "rb") as file:
            part = file.read()[:100000]
        for sign in (signal.SIGINT, signal.SIGTERM):
            path = self.path(f"interrupted{sign}.mp4")
            tool = subprocess.Popen([TOOL, "remux", "-", path, "--json", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, env={**os.environ, **harness.sanitizer_env()})
            tool.stdin.write(part)
            tool.stdin.flush()
            harness.wait_until(lambda p=path: os.path.exists(p) and os.path.getsize(p) > 10000)
            tool.send_signal(sign)
            tool.wait(20)  # though the pipe is open
            out, err = tool.communicate(timeout=20)
            self.assertEqual((tool.returncode, json.loads(out)["error"]), (1, "interrupted"), err)
            self.assertGreater(len(decoded(path, "v")), 20)

    def test_remux_does_not_write_over_what_it_reads(self):
        path, link = self.path("same.flv"), self.path("link.flv")
        shutil.copy(self.clip, path)
        os.symlink(path, link)
        for target in (path, link):
            self.assertEqual(self.tool("remux", path, target).returncode, 2)
            with open(path, "rb") as got, open(self.clip, "rb") as source:
                self.assertEqual(got.read(), source.read())
        size = os.path.getsize(path)
        for argv, redirected in ((("-", path), {"stdin": open(path, "rb")}), ((path, "-"), {"stdout": open(path, "ab")})):
            with contextlib.closing(*redirected.values()):
                done = subprocess.run([TOOL, "remux", *argv], **redirected, stderr=subprocess.PIPE, timeout=60)
            self.assertEqual((done.returncode, os.path.getsize(path)), (2, size), done.stderr)

    def test_every_end_is_told_as_json(self):
        port = harness.free_port()
        gone = f"rtmp://127.0.0.1:{port}/live/a"
        for args, code in ((("push", "none.flv", gone), 2), (("pull", "ftp://x", "a.flv"), 2), (("pull", gone, "-"), 2),
                           (("analyze", "none.flv"), 2), (("analyze", gone), 1), (("remux", "none.flv", "a.mp4"), 2),
                           (("remux", self.clip, "-"), 2), (("remux", self.clip, "/nowhere/a.mp4"), 1),
                           (("record", gone, self.path("hls")), 1), (("relay", gone, gone, "--seconds", "0.2"), 1),
                           (("route", "live/a", "--to", f"http://127.0.0.1:{port}"), 1)):
            done = self.tool(*args, "--json", "-")
            self.assertEqual(done.returncode, code, args)
            self.assertTrue(json.loads(done.stdout)["error"], args)

    def test_figures_that_cannot_be_written_give_1(self):
        with open("/dev/full", "w") as full:
            for args in (("remux", self.clip, self.path("f.flv")), ("analyze", self.clip)):
                done = subprocess.run([TOOL, *args, "--json", "-"], stdout=full, stderr=subprocess.PIPE, timeout=60,
                                      env={**os.environ, **harness.sanitizer_env()})
                self.assertEqual(done.returncode, 1, args)
                self.assertIn(b"cannot be written", done.stderr)

    def test_usage_errors_give_2(self):
        for args in (("analyze",), ("analyze", self.path("none.flv")), ("analyze", "a", "b"), ("remux", self.clip),
                     ("remux", self.clip, self.path("a.txt")), ("remux", "--what")):
            done = self.tool(*args)
            self.assertEqual(done.returncode, 2, args)
            self.assertTrue(done.stderr.startswith(b"headwater-tool"), done.stderr)
        for command in ("analyze", "remux"):
            self.assertIn(b"usage: headwater-tool " + command.encode(), self.tool(command, "--help").stdout)


if __name__ == "__main__":
    harness.main()
