"""deploy/up.sh from outside: starts, plays, stops and leaves nothing behind."""

import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import harness
import swarm

UP = os.path.join(harness.ROOT, "deploy", "up.sh")
BUILD_S = 900  # the first run builds a release


def free_base_port(n=20):
    """A base port with n free ones behind it, below those that the kernel gives to connections."""
    while True:
        base = random.randrange(12000, 30000)
        if all(is_free(base + i) for i in range(n)):
            return base


def is_free(port):
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class UpTest(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory(prefix="headwater-test-")
        self.addCleanup(self.tmp.cleanup)
        self.env = {**os.environ, "TMPDIR": self.tmp.name}

    def up(self, *flags):
        with open(os.path.join(self.tmp.name, "err"), "w") as err:
            up = subprocess.Popen([UP, *flags], env=self.env, text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=err)
        self.addCleanup(lambda: (up.kill(), up.wait(), up.stdout.close()))
        return up

    def said(self):
        with open(os.path.join(self.tmp.name, "err")) as file:
            return file.read()

    def assert_nothing_left(self, ready=None):
        self.assertEqual([n for n in os.listdir(self.tmp.name) if n.startswith("headwater.")], [])
        for node in (ready or {}).get("nodes", []):
            self.assertFalse(os.path.exists(f"/proc/{node['pid']}"), node["id"])

    def check_runs(self, *flags):
        base = free_base_port()
        up = self.up("--json", "--base-port", str(base), *flags)
        line = up.stdout.readline()
        self.assertTrue(line, self.said())
        ready = json.loads(line)
        self.assertEqual(ready["scheduler"]["http"], f"http://127.0.0.1:{base}")
        with swarm.Swarm() as flock:
            viewers = []
            for i, node in enumerate(ready["nodes"]):
                # Another origin than the publisher's may send viewers to an edge.
                if ready["demo"] and (i == 0 or node["role"] == "edge"):
                    rtmp, http = (harness.parse_address(node[key].split("//")[1]) for key in ("rtmp", "http"))
                    viewers += [flock.play_rtmp(rtmp, ready["demo"]), flock.play_flv(http, ready["demo"])]
                admin = harness.parse_address(node["admin"].split("//")[1])
                self.assertEqual(harness.http_request(admin, "/healthz")[0], 200)
                self.assertTrue(os.path.exists(f"/proc/{node['pid']}"))
            flock.until(lambda: all(v.log.n_video > 25 for v in viewers), 15, "the URLs play")
        return up, ready

    def test_default_cluster_plays_and_ends_on_ctrl_c(self):
        up, ready = self.check_runs()
        self.assertEqual([n["role"] for n in ready["nodes"]], ["origin", "edge", "edge"])
        self.assertEqual(ready["demo"], "live/demo")
        up.send_signal(signal.SIGINT)
        self.assertEqual(up.wait(15), 0, self.said())
        self.assertEqual(up.stdout.read(), "", "one line on standard output")
        self.assert_nothing_left(ready)

    def test_redis_and_more_nodes_end_by_themselves(self):
        up, ready = self.check_runs("--store", "redis", "--origins", "2", "--edges", "1", "--for", "5")
        self.assertEqual([n["role"] for n in ready["nodes"]], ["origin", "origin", "edge"])
        self.assertEqual(up.wait(30), 0, self.said())
        self.assert_nothing_left(ready)

    def test_no_demo_ends_on_sigterm(self):
        up, ready = self.check_runs("--no-demo", "--edges", "1")
        self.assertIsNone(ready["demo"])
        up.send_signal(signal.SIGTERM)
        self.assertEqual(up.wait(15), 0, self.said())
        self.assert_nothing_left(ready)

    def test_children_end_with_a_killed_script(self):
        up, ready = self.check_runs("--no-demo", "--edges", "1")
        up.kill()
        up.wait()
        harness.wait_until(lambda: not any(os.path.exists(f"/proc/{n['pid']}") for n in ready["nodes"]), 15,
                           "nodes end")

    def test_a_node_that_dies_ends_it_with_1(self):
        up, ready = self.check_runs("--no-demo", "--edges", "1")
        os.kill(ready["nodes"][1]["pid"], signal.SIGKILL)
        self.assertEqual(up.wait(15), 1)
        self.assertIn("edge-1", self.said())
        self.assert_nothing_left(ready)

    def test_busy_port_is_one_line_and_1(self):
        for offset in (0, 2, 5):
            base = free_base_port()
            with socket.socket() as busy:
                busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                busy.bind(("127.0.0.1", base + offset))
                busy.listen()
                begin = time.monotonic()
                up = self.up("--json", "--base-port", str(base))
                self.assertEqual(up.wait(60), 1)
                self.assertLess(time.monotonic() - begin, 60)
                self.assertEqual(up.stdout.read(), "")
                self.assertEqual(len(self.said().strip().splitlines()), 1, self.said())
                self.assertIn(str(base + offset), self.said())
                self.assert_nothing_left()

    def test_bad_flags_are_one_line_and_1(self):
        for flags in (["--edges", "many"], ["--edges"], ["--origins", "0"], ["--store", "disk"], ["--what"],
                      ["--base-port", "70000"], ["--for", "0"]):
            up = self.up(*flags)
            self.assertEqual(up.wait(10), 1, flags)
            self.assertEqual(len(self.said().strip().splitlines()), 1, self.said())

    def test_build_only_starts_nothing(self):
        up = self.up("--build-only")
        self.assertEqual(up.wait(BUILD_S), 0, self.said())
        self.assertTrue(os.access(os.path.join(harness.ROOT, ".build", "release", "bin", "headwater-node"), os.X_OK))
        self.assert_nothing_left()

    def test_help(self):
        up = self.up("--help")
        self.assertEqual(up.wait(10), 0)
        self.assertIn("--base-port", up.stdout.read())


if __name__ == "__main__":
    harness.main()
