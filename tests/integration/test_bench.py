"""The bench: figures are judged right, and a short run of it gives figures. Takes about four minutes."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import harness
import media

BENCH = os.path.join(harness.ROOT, "tests", "bench")
sys.path.insert(0, BENCH)

import bench_hls
import bench_load
import bench_report
from bench_run import Check

ROUNDS = [{"node": {"cpu": 11.0, "sends": 25.1}, "floor": {"cpu": 10.0, "sends": 25.0}},
          {"node": {"cpu": 14.0, "sends": 25.1}, "floor": {"cpu": 10.0, "sends": 25.0}},
          {"node": {"cpu": 12.0, "sends": 25.1}}]  # the floor's run did not count


def report(**group):
    players = {"asked": 10, "playing": 10, "lost": 0, "refused": 0, "slow_bps": 0, "stalls": 0, "backward": 0}
    return {"publishers": {"asked": 1, "connected": 1, "lost": 0}, "players": [players | group],
            "load": {"cpu": 0.1, "bottleneck": False, "why": ""}}


class JudgeTest(unittest.TestCase):
    def test_ratio_is_of_the_same_round_and_skips_rounds_without_both(self):
        line = bench_report.judge(Check("CPU", "node", "cpu", 1.2, "floor"), ROUNDS)
        self.assertEqual((line["n"], line["min"], line["max"]), (2, 1.1, 1.4))
        self.assertAlmostEqual(line["median"], 1.25)
        self.assertEqual(line["verdict"], "missed: over by 4 %")

    def test_limit_is_met_by_the_limit_itself(self):
        line = bench_report.judge(Check("CPU", "node", "cpu", 12), ROUNDS)
        self.assertEqual((line["median"], line["verdict"]), (12.0, "ok"))

    def test_equal_is_missed_on_both_sides(self):
        for rate, verdict in ((25.2, "ok"), (26.0, "missed: off by 4.0 %"), (24.0, "missed: off by 4.0 %")):
            rounds = [{"node": {"sends": rate}, "floor": {"sends": 25.0}}]
            check = Check("sends", "node", "sends", 0.01, "floor", equal=True)
            self.assertEqual(bench_report.judge(check, rounds)["verdict"], verdict)

    def test_without_a_run_nothing_is_claimed(self):
        line = bench_report.judge(Check("CPU", "node", "cpu", 1.1, "floor"), [{}])
        self.assertEqual(line["verdict"], "not measured")


class FaultsTest(unittest.TestCase):
    def test_good_run_counts(self):
        self.assertEqual(bench_load.faults(report()), [])

    def test_any_loss_makes_a_run_invalid(self):
        for key, value in (("playing", 9), ("lost", 1), ("refused", 1), ("stalls", 1), ("backward", 1)):
            self.assertEqual(len(bench_load.faults(report(**{key: value}))), 1, key)

    def test_slow_viewers_may_stall(self):
        self.assertEqual(bench_load.faults(report(slow_bps=50000, stalls=7, lost=1)), [])

    def test_bottleneck_in_the_load_makes_a_run_invalid(self):
        bad = report()
        bad["load"] |= {"bottleneck": True, "why": "late"}
        self.assertEqual(len(bench_load.faults(bad)), 1)


class HlsViewersTest(harness.ClusterTest):
    """The viewers of the bench against a real node."""

    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0, "node_set": {"hls.segment_ms": "1000"}}

    def test_viewers_take_every_segment_once(self):
        node, stream = self.cluster.origins[0], "live/bench"
        publisher = media.publish(media.clip("h264_aac"), node.url(stream), self.cluster.folder, loop=True)
        try:
            harness.wait_until(lambda: any(s["name"] == stream for s in node.streams()), 10, "published")
            with bench_hls.HlsViewers(node.http, stream, "ts", 5) as viewers:
                viewers.run(8)
                viewers.reset()
                viewers.run(6)
                figures = viewers.figures()
        finally:
            publisher.kill()
        self.assertEqual((viewers.faults, figures["viewers"]), ([], 5))
        self.assertAlmostEqual(figures["segments"], 1, delta=0.34)  # two more or less of six, where the window cuts
        self.assertGreater(figures["requests"], 5)
        self.assertEqual(len(viewers.fetch_s), viewers.n_segments)

    def test_a_stream_that_ends_is_a_fault(self):
        node, stream = self.cluster.origins[0], "live/short"
        publisher = media.publish(media.clip("h264_aac"), node.url(stream), self.cluster.folder, loop=True)
        try:
            harness.wait_until(lambda: any(s["name"] == stream for s in node.streams()), 10, "published")
            with bench_hls.HlsViewers(node.http, stream, "ts", 1) as viewers:
                viewers.run(5)
                publisher.kill()
                harness.wait_until(lambda: viewers.run(1) or viewers.faults, 20, "told")
        finally:
            publisher.kill()


class RunTest(unittest.TestCase):
    """The programs themselves, as short as can be."""

    def run_program(self, folder, name, *args):
        """Standard output and JSON."""
        path = os.path.join(folder, "r.json")
        env = {**os.environ, "HEADWATER_BIN_DIR": harness.BIN_DIR, "HEADWATER_TEST_MEDIA": harness.MEDIA_DIR}
        done = subprocess.run([sys.executable, "-B", os.path.join(BENCH, name), *args, "--json", path], env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        self.assertIn(done.returncode, (0, 1), done.stdout)  # 1: a target was missed
        with open(path) as file:
            return done.stdout, json.load(file)

    def check_tables(self, folder, keys, *args):
        """Every row has its CPU, or the run says why not."""
        markdown = os.path.join(folder, "r.md")
        _, found = self.run_program(folder, "run.py", *args, "--quick", "--markdown", markdown)
        self.assertEqual(set(found["tables"]), keys)
        with open(markdown) as file:
            text = file.read()
        for key, table in found["tables"].items():
            self.assertIn(f"### {key}", text)
            refused = {bad["row"] for bad in table["invalid"]}  # a busy machine, and said so
            rows = {row for one in table["rounds"] for row in one}
            self.assertEqual(len(rows | refused), 2, table)
            for row in rows - refused:
                self.assertGreater(table["medians"][row]["cpu"]["median"], 0, row)

    def test_short_runs_give_figures_beside_their_targets(self):
        with tempfile.TemporaryDirectory() as folder:
            self.check_tables(folder, {"S1 balanced", "S13 balanced", "S14"}, "S1", "S13", "S14", "--latency",
                              "balanced", "--only-peers", "headwater,floor")

    def test_latency_gives_figures_of_each_player(self):
        players = ["rtmp", "http-flv", "ws-flv", "hls", "ll-hls", "browser-ll-hls"]
        with tempfile.TemporaryDirectory() as folder:
            text, found = self.run_program(folder, "latency.py", *players, "--quick")
        self.assertIn("| verdict |", text)
        self.assertEqual(list(found), players)
        for player, (figures,) in found.items():
            self.assertGreater(figures["n"], 50, player)
            self.assertLess(figures["p50"], 10000, player)
            self.assertLessEqual(figures["p50"], figures["p99"], player)


class HttpTest(unittest.TestCase):
    def test_short_run_gives_a_row_for_each_way_to_ask(self):
        got = subprocess.run([sys.executable, "-B", os.path.join(BENCH, "http", "run.py"), "--quick"], check=True,
                             env={**os.environ, "HEADWATER_BIN_DIR": harness.BIN_DIR}, capture_output=True, text=True,
                             timeout=120).stdout
        rows = [line.split("|")[1:8] for line in got.splitlines() if line.startswith("| HTTP")]
        self.assertEqual([row[0].strip() for row in rows], ["HTTP/1.1", "HTTP/1.1, TLS", "HTTP/2, TLS"])
        for row in rows:
            self.assertTrue(all(float(cell.replace(",", "")) > 0 for cell in row[1:]), row)


if __name__ == "__main__":
    harness.main()
