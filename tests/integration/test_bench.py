"""The bench: figures are judged right, and a short run of it gives figures. Takes about half a minute."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import harness

BENCH = os.path.join(harness.ROOT, "tests", "bench")
sys.path.insert(0, BENCH)

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


class RunTest(unittest.TestCase):
    def test_short_run_gives_figures_beside_their_targets(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("r.json", "r.md")]
            argv = [os.path.join(BENCH, "run.py"), "S1", "--quick", "--latency", "balanced", "--only-peers",
                    "headwater,floor", "--json", paths[0], "--markdown", paths[1]]
            env = {**os.environ, "HEADWATER_BIN_DIR": harness.BIN_DIR,
                   "HEADWATER_TEST_MEDIA": harness.MEDIA_DIR}
            done = subprocess.run([sys.executable, "-B", *argv], env=env, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=200)
            self.assertIn(done.returncode, (0, 1), done.stdout)  # 1: a target was missed
            with open(paths[0]) as file:
                table = json.load(file)["tables"]["S1 balanced"]
            with open(paths[1]) as file:
                self.assertIn("### S1 balanced", file.read())
        self.assertEqual(len(table["checks"]), 1)
        refused = {bad["row"] for bad in table["invalid"]}  # a busy machine, and said so
        for row in ("floor ingest 40 ms", "headwater balanced"):
            if row not in refused:
                self.assertGreater(table["medians"][row]["cpu"]["median"], 0, row)


if __name__ == "__main__":
    harness.main()
