"""headwater-tool push and pull against a real node, ffprobe and ffmpeg."""

import json
import os
import socket
import subprocess
import time

import harness
import media
import tools


def hashes(path, track, *how):
    """Of the packets of a track, in order; without "-c copy" of its frames, decoded."""
    done = subprocess.run([harness.tool("ffmpeg"), "-nostdin", "-v", "error", "-i", path, "-map", f"0:{track}", *how,
                           "-f", "framemd5", "-"], capture_output=True, text=True, timeout=60, check=True)
    return [line.split(",")[-1].strip() for line in done.stdout.split("\n") if line and line[0] != "#"]


class PushPullTest(tools.ToolTest):
    def setUp(self):
        super().setUp()
        self.clip = media.clip("small", 2)

    def assert_same(self, path, track):
        """But for sound in front of the first key frame, which players do not get."""
        how = () if path.endswith(".ts") else ("-c", "copy")
        got, sent = hashes(path, track, *how), hashes(self.clip, track, *how)
        self.assertLessEqual(len(sent) - len(got), 2 if track == "a" else 0)
        self.assertEqual(got, sent[len(sent) - len(got):], (path, track))

    def test_what_is_pushed_is_what_is_pulled(self):
        pulls = {ending: self.start("pull", url, self.path("a" + ending)) for ending, url in
                 ((".flv", self.node.url("live/same")), (".ts", self.url("live/same", ".ts")))}
        pulls["http.flv"] = self.start("pull", self.url("live/same", ".flv"), self.path("ahttp.flv"))
        harness.wait_until(lambda: len(self.node.sessions()) == 3, what="three players that wait")
        code, out, err = tools.run("push", self.clip, self.node.url("live/same"), "--json", "-")
        self.assertEqual(code, 0, err)
        pushed = json.loads(out)
        self.assertEqual((pushed["error"], pushed["key_frames"], pushed["rounds"]), (None, 2, 1))
        self.assertAlmostEqual(pushed["seconds"], 2, delta=0.1)
        for ending, pull in pulls.items():
            code, _, err = pull.finish()
            self.assertEqual(code, 0, (ending, err))
            for track in "v" if ending == ".ts" else "va":
                self.assert_same(self.path("a" + ending), track)

    def test_a_clip_goes_out_at_its_own_speed(self):
        code, out, err = tools.run("push", self.clip, self.node.url("live/fast"), "--speed", "0", "--json", "-")
        self.assertEqual((code, json.loads(out)["key_frames"]), (0, 2), err)
        push = self.publish(self.clip, "live/slow", "--speed", "0.5")
        began = time.monotonic()
        code, out, err = tools.run("pull", self.node.url("live/slow"), self.path("s.flv"), "--seconds", "1", "--json", "-")
        self.assertEqual((code, json.loads(out)["error"]), (0, None), err)
        self.assertGreaterEqual(json.loads(out)["seconds"], 1)
        self.assertGreater(time.monotonic() - began, 0.8)  # 1 s of media takes two, less what was there already
        code, _, err = push.interrupt()
        self.assertEqual(code, 0, err)

    def test_a_loop_goes_on_in_time(self):
        push = self.publish(self.clip, "live/loop", "--speed", "4")
        code, _, err = tools.run("pull", self.node.url("live/loop"), self.path("l.flv"), "--seconds", "5")
        self.assertEqual(code, 0, err)
        code, tracks, _ = tools.analyze(self.path("l.flv"))
        self.assertEqual((code, tracks["video"]["gaps"]), (0, 0))
        self.assertGreaterEqual(tracks["video"]["frames"], 120)
        push.interrupt()

    def test_a_pipe_is_pushed_as_it_comes_and_pulled_to_one(self):
        ts = subprocess.run([harness.tool("ffmpeg"), "-nostdin", "-v", "error", "-i", self.clip, "-c", "copy", "-f",
                             "mpegts", "-"], capture_output=True, check=True).stdout
        pull = self.start("pull", self.node.url("live/pipe"), "-")
        push = self.start("push", "-", self.node.url("live/pipe"), stdin=subprocess.PIPE)
        push.popen.stdin.write(ts[:188 * 60])
        push.popen.stdin.flush()
        self.wait_stream("live/pipe")
        code, _, err = push.finish(data=ts[188 * 60:])
        self.assertEqual(code, 0, err)
        code, out, err = pull.finish()
        self.assertEqual((code, out[:3]), (0, b"FLV"), err)
        with open(self.path("p.flv"), "wb") as file:
            file.write(out)
        self.assert_same(self.path("p.flv"), "v")

    def test_an_interrupted_pull_leaves_a_whole_file(self):
        push = self.publish(self.clip, "live/cut")
        for name in ("c.flv", "c.ts"):
            pull = self.start("pull", self.node.url("live/cut"), self.path(name))
            harness.wait_until(lambda n=name: os.path.exists(self.path(n)) and os.path.getsize(self.path(n)) > 20000)
            code, _, err = pull.interrupt()
            self.assertEqual(code, 0, err)
            self.assertEqual(tools.analyze(self.path(name))[0], 0)
        push.interrupt()

    def test_analyze_takes_live_streams_and_dumps(self):
        push = self.publish(self.clip, "live/look", "--speed", "4")
        for url in (self.node.url("live/look"), self.url("live/look", ".flv"), self.url("live/look", ".ts"),
                    self.url("live/look", ".mp4")):
            code, out, err = tools.run("analyze", url, "--seconds", "2", "--json", "-")
            self.assertEqual(code, 0, (url, err))
            tracks = {track["kind"]: track for track in json.loads(out)["tracks"]}
            self.assertGreaterEqual(tracks["video"]["frames"], 49)
            self.assertEqual(tracks["video"]["codec"], "h264")
        code, _, err = tools.run("pull", self.node.url("live/look"), self.path("d.flv"), "--dump", self.path("d.rtmp"),
                                 "--seconds", "2")
        self.assertEqual(code, 0, err)
        code, out, err = tools.run("analyze", self.path("d.rtmp"), "--json", "-")
        dumped = json.loads(out)
        self.assertEqual((code, dumped["container"]), (0, "rtmp"), err)
        self.assertGreaterEqual(dumped["rtmp_messages"]["20"], 3)  # commands
        frames = {track["kind"]: track["frames"] for track in dumped["tracks"]}
        pulled = {kind: track["frames"] for kind, track in tools.analyze(self.path("d.flv"))[1].items()}
        self.assertGreaterEqual(frames["video"], pulled["video"])
        self.assertLess(frames["video"], pulled["video"] + 50)
        push.interrupt()

    def test_errors_name_peer_and_reason(self):
        port = harness.free_port()
        peer = "%s:%d" % self.node.rtmp
        push = self.publish(self.clip, "live/taken")
        for args, words in (
                (("pull", self.url("live/none", ".flv"), self.path("n.flv")), ("HTTP status 404", "%s:%d" % self.node.http)),
                (("pull", self.node.url("live/none"), self.path("n.flv")), ("StreamNotFound", peer)),
                (("push", self.clip, self.node.url("live/taken")), ("BadName", peer)),
                (("push", self.clip, f"rtmp://127.0.0.1:{port}/live/x"), ("Connection refused", f"127.0.0.1:{port}"))):
            code, out, err = tools.run(*args, "--json", "-")
            self.assertEqual(code, 1, (args, err))
            for word in words:
                self.assertIn(word, err)
                self.assertIn(word, json.loads(out)["error"])
        push.interrupt()

    def test_a_server_that_says_nothing_is_given_up(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = "//127.0.0.1:%d/live/x" % silent.getsockname()[1]
            for args in (("pull", "rtmp:" + url, self.path("s.flv")), ("pull", "http:" + url + ".flv", self.path("s.flv")),
                         ("push", self.clip, "rtmp:" + url)):
                code, _, err = tools.run(*args, "--timeout", "0.3")
                self.assertEqual(code, 1, args)
                self.assertIn("says nothing for 0.3 s", err)

    def test_usage_errors_give_2(self):
        for args in (("push",), ("push", self.clip), ("push", self.clip, "http://127.0.0.1/live/x"),
                     ("push", self.path("none.flv"), self.node.url("live/x")), ("push", self.clip, "rtmp://127.0.0.1/x"),
                     ("pull", self.node.url("live/x")), ("pull", self.node.url("live/x"), "a.txt"),
                     ("pull", "ftp://127.0.0.1/x", "a.flv"), ("pull", self.node.url("live/x"), "a.flv", "--seconds", "x"),
                     ("relay", self.node.url("live/x")), ("record", self.node.url("live/x")), ("route",), ("delay", self.clip)):
            code, out, err = tools.run(*args)
            self.assertEqual((code, out), (2, b""), args)
            self.assertTrue(err.startswith("headwater-tool " + args[0] + ": "), err)
        for command in ("push", "pull", "relay", "record", "route", "delay"):
            code, out, _ = tools.run(command, "--help")
            self.assertEqual(code, 0)
            for word in ("usage: headwater-tool " + command, "example", "exit code: 0"):
                self.assertIn(word, out.decode())


if __name__ == "__main__":
    harness.main()
