"""Command line, configuration files, environment, SIGHUP, signals, busy ports."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import harness
import media
import swarm

LOOPBACK = {"rtmp.listen": "127.0.0.1:0", "http.listen": "127.0.0.1:0", "admin.listen": "127.0.0.1:0"}


class ConfigTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="headwater-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.started = []

    def tearDown(self):
        for process in self.started:
            self.assertEqual(process.problems(process.stop()), [], process.tail())

    def run_once(self, *argv, program="headwater-node", env=None):
        """Runs to the end; returns (exit code, stdout, stderr)."""
        done = subprocess.run([os.path.join(harness.BIN_DIR, program), *argv], timeout=20, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                              env={**os.environ, **harness.sanitizer_env(), **(env or {})})
        for sign in harness.SANITIZER_SIGNS:
            self.assertNotIn(sign, done.stderr)
        return done.returncode, done.stdout, done.stderr

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def start(self, sets=None, extra=(), name="node", program="headwater-node"):
        process = harness.program(program, sets or LOOPBACK, self.folder, name, extra)
        self.started.append(process)
        return process

    def assert_refused(self, text, *wanted, program="headwater-node"):
        """A configuration file with this text is refused, and the one line says what is wanted."""
        path = self.write("bad.json", text)
        code, _, said = self.run_once("-c", path, "--check-config", program=program)
        self.assertNotEqual(code, 0, said)
        self.assertEqual(len(said.strip().splitlines()), 1, said)
        for words in ("bad.json", *wanted):
            self.assertIn(words, said)

    def test_bad_files_are_refused_with_file_key_found_and_allowed(self):
        self.assert_refused('{"rtmp": {"listne": "x"}}', "rtmp.listne")
        self.assert_refused('{"gop_cache": {"count": "many"}}', "gop_cache.count", "many")
        self.assert_refused('{"gop_cache": {"count": 1000000}}', "gop_cache.count", "1000000", "16")
        self.assert_refused('{"latency": "fast"}', "latency", "fast", "realtime", "balanced", "efficient")
        self.assert_refused('{"rtmp": {"listen": "nowhere"}}', "rtmp.listen", "nowhere")
        self.assert_refused('{"rtmp": 7}', "rtmp", "rtmp.listen")
        self.assert_refused('{\n  "latency": "balanced",\n  "x" 1\n}', "3")
        self.assert_refused('{"store": {"type": "disk"}}', "store.type", "disk", "memory", "redis",
                            program="headwater-scheduler")

    def test_missing_file_and_bad_flags_are_refused(self):
        for argv in (["-c", "/nonexistent/x.json"], ["--set", "loops"], ["--set", "no.such=1"],
                     ["--no-such-flag"], ["stray"], ["-c"]):
            code, _, said = self.run_once(*argv)
            self.assertNotEqual(code, 0, argv)
            self.assertTrue(said.strip(), argv)

    def test_check_config_accepts_a_good_file_and_starts_nothing(self):
        path = self.write("good.json", '// a comment\n{"latency": "realtime", "rtmp": {"listen": "127.0.0.1:0"}}')
        code, _, said = self.run_once("-c", path, "--check-config")
        self.assertEqual(code, 0, said)
        self.assertNotIn("msg=ready", said)

    def test_the_examples_in_conf_load(self):
        for program in ("node", "scheduler"):
            path = os.path.join(harness.ROOT, "conf", f"{program}.json")
            code, _, said = self.run_once("-c", path, "--check-config", program=f"headwater-{program}")
            self.assertEqual(code, 0, said)

    def test_help_texts(self):
        for program, keys in (("headwater-node", ("rtmp.listen", "gop_cache.count", "cluster.schedulers")),
                              ("headwater-scheduler", ("http.listen", "store.type", "lease_ms"))):
            for flag in ("--help", "--version", "--help-config"):
                code, out, _ = self.run_once(flag, program=program)
                self.assertEqual(code, 0, flag)
                self.assertTrue(out.strip(), f"{program} {flag} writes to standard output")
            for key in keys:
                self.assertIn(key, out)

    def test_sources_override_each_other(self):
        path = self.write("node.json", json.dumps({"log": {"level": "debug"}, "loops": 1}))
        sets = {**LOOPBACK, "cluster.node_id": "from-set"}
        os.environ["HEADWATER_CLUSTER__NODE_ID"] = "from-environment"
        self.addCleanup(os.environ.pop, "HEADWATER_CLUSTER__NODE_ID")
        self.assertEqual(self.start(sets, ["-c", path]).wait_ready()["node"], "from-set")
        self.assertEqual(self.start(LOOPBACK, ["-c", path], "other").wait_ready()["node"], "from-environment")

    def test_wildcard_address_needs_an_advertised_one_in_a_cluster(self):
        code, _, said = self.run_once("--check-config", "--set", "cluster.schedulers=http://192.0.2.1:8090",
                                      "--set", "rtmp.listen=0.0.0.0:1935")
        self.assertNotEqual(code, 0)
        self.assertIn("advertise", said)

    def test_busy_port_is_one_clear_line(self):
        ready = self.start().wait_ready()
        for key in ("rtmp", "http", "admin"):
            with self.subTest(key=key):
                code, _, said = self.run_once(*(arg for k, v in {**LOOPBACK, f"{key}.listen": ready[key]}.items()
                                                for arg in ("--set", f"{k}={v}")))
                self.assertNotEqual(code, 0)
                line = said.strip().splitlines()[-1]
                self.assertIn(f"{key}.listen", line)
                self.assertIn(ready[key], line)

    def test_sighup_applies_what_can_be_and_names_the_rest(self):
        path = self.write("node.json", json.dumps({"log": {"level": "info"}}))
        node = self.start(LOOPBACK, ["-c", path])
        node.wait_ready()
        self.write("node.json", json.dumps({"log": {"level": "debug"}, "loops": 7}))
        start = node.log_size()
        node.signal(signal.SIGHUP)
        node.wait_log("loops", 5, start)
        self.write("node.json", '{"latency": "nonsense"}')
        start = node.log_size()
        node.signal(signal.SIGHUP)
        node.wait_log("nonsense", 5, start)
        self.assertTrue(node.is_alive(), "a bad file at SIGHUP leaves the old configuration")

    def test_sighup_reopens_the_log_file(self):
        path = os.path.join(self.folder, "x.log")
        node = self.start({**LOOPBACK, "log.file": path})
        harness.wait_until(lambda: os.path.exists(path) and os.path.getsize(path), 15, "the log file")
        harness.wait_until(lambda: self.has_line(path, " msg=ready"), 15, "ready")
        os.rename(path, path + ".1")
        node.signal(signal.SIGHUP)
        harness.wait_until(lambda: os.path.exists(path), 5, "a new log file")

    @staticmethod
    def has_line(path, text):
        with open(path) as file:
            return text in file.read()

    def test_bad_token_files_are_refused_without_showing_them(self):
        for text in ("", "\n\n", "qqq1\nqqq2\nqqq3\n", "tab\tqqq\n"):
            path = self.write("token", text)
            code, _, said = self.run_once("--set", f"cluster.token_file={path}",
                                          *(arg for k, v in LOOPBACK.items() for arg in ("--set", f"{k}={v}")))
            self.assertNotEqual(code, 0, text)
            self.assertIn("cluster.token_file", said)
            self.assertNotIn("qqq", said)

    def test_sighup_reads_the_tokens_again(self):
        path = self.write("token", "first\n")
        node = self.start({**LOOPBACK, "cluster.token_file": path})
        admin = harness.parse_address(node.wait_ready()["admin"])
        def status(token):
            headers = {"Host": "other.example", "Authorization": f"Bearer {token}"}
            return harness.http_request(admin, "/api/v1/node", headers=headers)[0]
        self.assertEqual([status(t) for t in ("first", "second")], [200, 401])
        for text, want in (("second\nfirst\n", [200, 200]), ("second\n", [401, 200])):
            self.write("token", text)
            mark = node.log_size()
            node.signal(signal.SIGHUP)
            node.wait_log("configuration reloaded", 5, mark)
            self.assertEqual([status(t) for t in ("first", "second")], want)
        self.write("token", "")  # a mistake leaves what was
        mark = node.log_size()
        node.signal(signal.SIGHUP)
        node.wait_log("the tokens stay as they were", 5, mark)
        self.assertEqual([status(t) for t in ("first", "second")], [401, 200])

    def test_sigterm_drains_and_exits_zero_with_viewers_connected(self):
        node = self.start({**LOOPBACK, "drain_timeout_s": "2"})
        ready = node.wait_ready()
        rtmp, http = harness.parse_address(ready["rtmp"]), harness.parse_address(ready["http"])
        with swarm.Swarm() as flock:
            flock.publish(rtmp, "live/x", swarm.Clip(media.clip("small")))
            viewer = flock.play_flv(http, "live/x")
            flock.until(lambda: viewer.log.n_video > 10, 10, "plays")
            begin = time.monotonic()
            node.signal(signal.SIGTERM)
            flock.until(lambda: not node.is_alive(), 8, "the node exits")
            self.assertLess(time.monotonic() - begin, 6)
        self.assertEqual(node.popen.returncode, 0)

    def test_sigint_twice_exits_at_once(self):
        node = self.start({**LOOPBACK, "drain_timeout_s": "60"})
        rtmp = harness.parse_address(node.wait_ready()["rtmp"])
        with swarm.Swarm() as flock:
            publisher = flock.publish(rtmp, "live/x", swarm.Clip(media.clip("small")))
            flock.until(lambda: publisher.n_sent > 10, 5)
            node.signal(signal.SIGINT)
            flock.run(0.3)
            node.signal(signal.SIGINT)
            flock.until(lambda: not node.is_alive(), 3, "the node exits")
        node.expect_death = True  # its exit code is its own business here


if __name__ == "__main__":
    harness.main()
