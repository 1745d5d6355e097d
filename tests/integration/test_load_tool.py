"""headwater-tool load against a real node: what it counts, what it misses, how it ends."""

import json
import os
import subprocess
import tempfile

import harness
import media

FRAMES_PER_S = 25 + 22050 / 1024  # video and audio of the clip "small"


class Load:
    """One run of the tool; its stdin stays open until finish()."""

    def __init__(self, *args):
        self.folder = tempfile.TemporaryDirectory(prefix="headwater-test-")
        self.json_path = os.path.join(self.folder.name, "load.json")
        self.popen = subprocess.Popen(
            [os.path.join(harness.BIN_DIR, "headwater-tool"), "load", *args, "--json", self.json_path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **harness.sanitizer_env()})

    def wait_line(self, text):
        """Reads stdout up to this line; the tool always ends, so this does."""
        for line in self.popen.stdout:
            if line.strip() == text:
                return
        raise AssertionError(f"no line {text!r}; exit {self.popen.wait()}: {self.popen.stderr.read()}")

    def read_json(self):
        with open(self.json_path, encoding="utf-8") as file:
            return json.load(file)

    def finish(self):
        """Closes stdin; returns (exit code, stdout, stderr)."""
        with self.folder:
            out, err = self.popen.communicate(timeout=120)
            self.result = self.read_json() if os.path.exists(self.json_path) else None
        for sign in harness.SANITIZER_SIGNS:
            if sign in err:
                raise AssertionError(err)
        return self.popen.returncode, out, err


class LoadToolTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0}

    def setUp(self):
        self.node = self.cluster.nodes[0]
        self.clip = media.clip("small")

    def load(self, *args):
        """Runs to the end; returns (exit code, JSON, stderr)."""
        run = Load(*args)
        code, _, err = run.finish()
        return code, run.result, err

    def assert_quantiles(self, figures, n):
        self.assertEqual(figures["n"], n)
        self.assertLessEqual(0, figures["p50"])
        self.assertLessEqual(figures["p50"], figures["p99"])
        self.assertLessEqual(figures["p99"], figures["p999"])
        self.assertLessEqual(figures["p999"], figures["max"])

    def assert_played(self, group, n_players, n_frames):
        """Nobody is missing and every frame came with its time of sending."""
        self.assertEqual([group[key] for key in ("asked", "playing", "lost", "refused", "backward",
                                                 "stalls")], [n_players, n_players, 0, 0, 0, 0])
        self.assertAlmostEqual(group["frames"], n_frames, delta=0.1 * n_frames)
        self.assertGreater(group["reads"], 0)
        self.assertGreater(group["bytes"], group["frames"] * 20)
        self.assert_quantiles(group["first_byte_ms"], n_players)
        self.assert_quantiles(group["first_key_ms"], n_players)
        latency = group["latency_ms"]
        self.assertEqual(latency["video"]["n"] + latency["audio"]["n"], group["frames"])
        for track in ("video", "audio"):
            self.assert_quantiles(latency[track], latency[track]["n"])
            self.assertGreater(latency[track]["n"], 0)
            self.assertLess(latency[track]["p50"], 1000)

    def test_publishers_and_players_of_all_protocols_are_counted(self):
        ts_url = self.node.url("live/each{i}", "http").replace(".flv", ".ts")
        code, got, err = self.load(
            "--publish", self.node.url("live/each{i}"), "--publishers", "3", "--flv", self.clip,
            "--play", self.node.url("live/each{i}"), "--players", "6", "--ramp", "0.2",
            "--play", self.node.url("live/each{i}", "http"), "--players", "4",
            "--play", ts_url, "--players", "5",
            "--warmup", "0.5", "--seconds", "3")
        self.assertEqual((code, err), (0, ""))
        seconds = got["seconds"]
        self.assertAlmostEqual(seconds, 3, delta=0.5)
        publishers = got["publishers"]
        self.assertEqual([publishers[key] for key in ("asked", "connected", "lost")], [3, 3, 0])
        self.assertAlmostEqual(publishers["frames"], 3 * FRAMES_PER_S * seconds,
                               delta=0.1 * 3 * FRAMES_PER_S * seconds)
        self.assert_quantiles(publishers["late_ms"], publishers["frames"])
        self.assertEqual([group["url"] for group in got["players"]],
                         [self.node.url("live/each{i}"), self.node.url("live/each{i}", "http"), ts_url])
        for group, n_players in zip(got["players"], (6, 4, 5)):
            self.assert_played(group, n_players, publishers["frames"] / 3 * n_players)
        self.assertGreater(got["load"]["cpu"], 0)
        self.assertGreater(got["load"]["turn_ms_max"], 0)

    def test_a_clip_goes_on_in_time_when_it_begins_again(self):
        code, got, err = self.load(
            "--publish", self.node.url("live/again"), "--flv", media.clip("small", 1),
            "--play", self.node.url("live/again"), "--play", self.node.url("live/again", "http"),
            "--warmup", "0", "--seconds", "4", "--stall-ms", "900")
        self.assertEqual((code, err), (0, ""))
        for group in got["players"]:
            self.assert_played(group, 1, FRAMES_PER_S * got["seconds"])

    def test_media_is_left_alone_without_stamps(self):
        code, got, err = self.load(
            "--publish", self.node.url("live/plain"), "--flv", self.clip, "--no-stamp",
            "--play", self.node.url("live/plain"), "--warmup", "0", "--seconds", "1")
        self.assertEqual((code, err), (0, ""))
        self.assertGreater(got["players"][0]["frames"], 0)
        self.assertEqual(got["players"][0]["latency_ms"]["video"],
                         {"p50": None, "p99": None, "p999": None, "max": None, "n": 0})

    def test_a_slow_player_reads_no_faster_than_it_is_told(self):
        # A hundredth of what the stream has: one read is enough for many seconds.
        code, got, _ = self.load(
            "--publish", self.node.url("live/slow"), "--flv", self.clip,
            "--play", self.node.url("live/slow"),
            "--play", self.node.url("live/slow"), "--slow-bps", "1000",
            "--warmup", "0.5", "--seconds", "2")
        self.assertEqual(code, 0)
        fast, slow = got["players"]
        self.assertEqual((fast["slow_bps"], slow["slow_bps"]), (0, 1000))
        self.assertEqual((slow["reads"], slow["bytes"], slow["frames"]), (0, 0, 0))
        self.assertEqual((slow["playing"], slow["stalls"], fast["stalls"]), (1, 1, 0))
        self.assertGreater(fast["reads"], 10)

    def test_hold_keeps_everybody_until_stdin_is_closed(self):
        run = Load("--publish", self.node.url("live/hold"), "--flv", self.clip,
                   "--play", self.node.url("live/hold"), "--warmup", "0", "--seconds", "0.5", "--hold")
        run.wait_line("window begin")
        run.wait_line("window end")
        self.assertEqual(run.read_json()["players"][0]["playing"], 1)  # whole before the line
        self.assertIn("live/hold", [stream["name"] for stream in self.node.streams()])
        self.assertIsNone(run.popen.poll())
        code, out, err = run.finish()
        self.assertEqual((code, err), (0, ""))
        self.assertIn("1 of 1 play", out)

    def test_a_window_without_length_ends_when_stdin_is_closed(self):
        run = Load("--publish", self.node.url("live/open"), "--flv", self.clip, "--seconds", "0",
                   "--play", self.node.url("live/open"), "--warmup", "0")
        run.wait_line("window begin")
        self.assertIsNone(run.popen.poll())
        code, out, _ = run.finish()
        self.assertEqual(code, 0)
        self.assertIn("window end", out)

    def test_a_second_publisher_of_a_name_is_refused(self):
        code, got, err = self.load(
            "--publish", self.node.url("live/same"), "--publishers", "2", "--flv", self.clip,
            "--play", self.node.url("live/same"), "--warmup", "0", "--seconds", "0.5")
        self.assertEqual(code, 1)
        self.assertEqual((got["publishers"]["connected"], got["publishers"]["lost"]), (1, 0))
        self.assertEqual(got["players"][0]["playing"], 1)
        self.assertIn("NetStream.Publish.BadName", err)

    def test_usage_errors_give_2(self):
        for args in (["--nonsense"], ["--play", "rtsp://127.0.0.1/live/x"],
                     ["--publish", self.node.url("live/x"), "--flv", "/dev/null"]):
            with self.subTest(args=args):
                code, got, err = self.load(*args)
                self.assertEqual((code, got), (2, None))
                self.assertIn("headwater-tool load: ", err)


class FailingNodeTest(harness.ClusterTest):
    """What is lost and what never was, each with its reason."""

    cluster_args = {"origins": 2, "edges": 0, "schedulers": 0,
                    "node_set": {"play_wait_ms": "300"}}

    def test_players_of_a_stream_that_is_not_there_are_refused(self):
        node = self.cluster.nodes[0]
        run = Load("--play", node.url("live/none"), "--players", "2",
                   "--play", node.url("live/none", "http"), "--warmup", "0", "--seconds", "0.2")
        code, _, err = run.finish()
        self.assertEqual(code, 1)
        self.assertEqual([(g["asked"], g["playing"], g["lost"], g["refused"])
                          for g in run.result["players"]], [(2, 0, 0, 2), (1, 0, 0, 1)])
        self.assertIn("NetStream.Play.StreamNotFound", err)
        self.assertIn("HTTP status 404", err)

    def test_everybody_is_lost_when_the_node_is_killed(self):
        node = self.cluster.nodes[1]
        run = Load("--publish", node.url("live/x"), "--flv", media.clip("small"),
                   "--play", node.url("live/x"), "--players", "3",
                   "--play", node.url("live/x", "http"), "--players", "2",
                   "--warmup", "0", "--seconds", "2")
        run.wait_line("window begin")
        node.kill()
        code, out, err = run.finish()
        self.assertEqual(code, 1)
        self.assertEqual(run.result["publishers"]["lost"], 1)
        self.assertEqual([(g["asked"], g["playing"], g["lost"], g["refused"])
                          for g in run.result["players"]], [(3, 0, 3, 0), (2, 0, 2, 0)])
        self.assertIn("window end", out)
        self.assertIn("lost: ", err)

    def test_nobody_connects_where_nobody_listens(self):
        url = f"rtmp://127.0.0.1:{harness.free_port()}/live/x"
        run = Load("--play", url, "--warmup", "0", "--seconds", "0.1")
        code, _, err = run.finish()
        self.assertEqual(code, 1)
        self.assertEqual(run.result["players"][0]["refused"], 1)
        self.assertIn("refused: ", err)


if __name__ == "__main__":
    harness.main()
