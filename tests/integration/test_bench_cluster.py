"""The programs of tests/bench/cluster: short runs give figures. Whether these are good is not asked here."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import harness

BENCH = os.path.join(harness.ROOT, "tests", "bench", "cluster")


class FiguresTest(unittest.TestCase):
    def run_program(self, *argv):
        """Returns its JSON."""
        with tempfile.TemporaryDirectory(prefix="headwater-test-") as folder:
            path = os.path.join(folder, "out.json")
            env = {**os.environ, "HEADWATER_BIN_DIR": harness.BIN_DIR, "HEADWATER_TEST_MEDIA": harness.MEDIA_DIR}
            done = subprocess.run([sys.executable, "-B", os.path.join(BENCH, argv[0]), *argv[1:], "--json", path],
                                  env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
            self.assertIn(done.returncode, (0, 1), done.stdout)  # 1: a target was missed
            self.assertIn("| verdict |", done.stdout)
            with open(path) as file:
                return json.load(file)

    def test_gaps_gives_a_gap_for_each_try(self):
        found = self.run_program("gaps.py", "nothing", "forwarded", "--tries", "2")
        self.assertEqual(set(found), {"nothing", "forwarded"})
        for figures in found.values():
            self.assertEqual(figures["gap_ms"]["n"], 2)
            self.assertLess(figures["gap_ms"]["max"], 30000)
            self.assertEqual([result["faults"] for result in figures["tries"]], [[], []])

    def test_routes_gives_rate_and_latency_for_each_question(self):
        found = self.run_program("routes.py", "--size", "small", "--seconds", "0.5")
        self.assertEqual(set(found["small"]), {"source", "play"})
        for figures in found["small"].values():
            self.assertGreater(figures["per_s"], 100)
            self.assertGreater(figures["latency_ms"]["n"], 0)

    def test_visible_gives_times_for_publish_and_rebuild(self):
        found = self.run_program("visible.py", "--tries", "10")
        self.assertEqual(sorted(figures["n"] for figures in found.values()), [1, 10])

    def test_herds_gives_pulls_of_a_cold_edge_and_waits_for_the_scheduler(self):
        found = self.run_program("herds.py", "--viewers", "200", "--tries", "1", "--seconds", "1")
        self.assertEqual([(result["playing"], result["pulls"]) for result in found["viewers"]["tries"]], [(200, 1)])
        self.assertGreater(found["returning"]["n_returns"], 0)
        self.assertGreater(found["returning"]["latency_ms"]["n"], 0)


if __name__ == "__main__":
    harness.main()
