"""headwater-tool ask against a real scheduler: what it counts, at which rate, how it ends."""

import json
import os
import subprocess

import harness


class AskToolTest(harness.ClusterTest):
    cluster_args = {"origins": 0, "edges": 0}

    def ask(self, paths, *args, address=None):
        """Returns (exit code, figures or None, what it said)."""
        path = os.path.join(self.cluster.folder, "paths")
        with open(path, "w") as file:
            file.write("\n".join(paths))
        done = subprocess.run(
            [os.path.join(harness.BIN_DIR, "headwater-tool"), "ask", "--to",
             "http://%s:%d" % (address or self.cluster.scheduler.http), "--paths", path, "--connections", "3",
             "--warmup", "0.2", "--seconds", "1", *args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
            env={**os.environ, **harness.sanitizer_env()})
        for sign in harness.SANITIZER_SIGNS:
            self.assertNotIn(sign, done.stderr)
        return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr

    def n_requests(self):
        text = harness.http_request(self.cluster.scheduler.http, "/metrics")[2].decode()
        return harness.Metrics(text).total("headwater_http_requests_total")

    def test_every_answer_is_followed_by_the_next_request(self):
        before = self.n_requests()
        code, got, err = self.ask(["/healthz", "/readyz"], "--depth", "4")
        self.assertEqual((code, err), (0, ""))
        self.assertGreater(got["answers"], 100)
        self.assertEqual((got["failed"], got["lost"], got["skipped"]), (0, 0, 0))
        self.assertAlmostEqual(got["per_s"], got["answers"] / got["seconds"], delta=1)
        self.assertEqual(got["latency_ms"]["n"], got["answers"])
        self.assertGreaterEqual(self.n_requests() - before, got["answers"])

    def test_rate_is_kept(self):
        code, got, err = self.ask(["/healthz"], "--rate", "200")
        self.assertEqual((code, err), (0, ""))
        self.assertAlmostEqual(got["per_s"], 200, delta=20)
        self.assertLess(got["latency_ms"]["p50"], 100)

    def test_what_is_not_200_is_told(self):
        code, got, _ = self.ask(["/healthz", "/v1/route?stream=nope"], "--rate", "100")
        self.assertEqual((code, got["why"]), (1, "status 400"))
        self.assertAlmostEqual(got["failed"], got["answers"] / 2, delta=2)

    def test_nobody_listens(self):
        code, got, _ = self.ask(["/healthz"], address=("127.0.0.1", harness.free_port()))
        self.assertEqual((code, got["lost"], got["answers"]), (1, 3, 0))
        self.assertIn("a connection was lost", got["why"])

    def test_usage_errors_give_2(self):
        for paths, args in ((["no slash"], []), (["/"], ["--rate", "x"]), (["/"], ["--to", "rtmp://h/a/b"])):
            code, got, err = self.ask(paths, *args)
            self.assertEqual((code, got), (2, None))
            self.assertIn("headwater-tool ask: ", err)


if __name__ == "__main__":
    harness.main()
