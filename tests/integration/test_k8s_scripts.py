"""The scripts of deploy/k8s with what they speak to: deletion-cost.sh with a scheduler and an API that note what they are
asked, redis.sh with real Redis servers and sentinels, secrets.sh with real programs."""

import http.server
import json
import os
import signal
import subprocess
import tempfile
import threading
import unittest

import harness
import k8s

BOOKS = {"metrics": "metrics-token-0123456789", "account": "account-token-0123456789"}
ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"


class Server:
    """answer(method, path, token, body) gives (status, text)."""

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, text = answer(self.command, self.path, self.headers.get("Authorization", ""), body, self.headers)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            do_PATCH = do_GET

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class DeletionCostTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="headwater-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for name, text in (("namespace", "media"), ("ca.crt", ""), ("token", BOOKS["account"]), ("metrics", BOOKS["metrics"])):
            with open(os.path.join(self.folder, name), "w", encoding="ascii") as file:
                file.write(text)
        self.answers, self.patches, self.fails = [], [], set()
        self.scheduler, self.api = Server(self.on_scheduler), Server(self.on_api)
        self.addCleanup(self.scheduler.close)
        self.addCleanup(self.api.close)

    def on_scheduler(self, method, path, token, body, headers):
        self.assertEqual((method, path, token), ("GET", "/v1/autoscale?role=edge", "Bearer " + BOOKS["metrics"]))
        ids = self.answers.pop(0)
        if ids is None:
            return 503, "{}"
        return 200, json.dumps({"replicas": len(ids), "wanted": 2, "emptiest": ids, "reason": "x"}, indent=1)

    def on_api(self, method, path, token, body, headers):
        folder, _, pod = path.rpartition("/")
        self.assertEqual((method, folder, token, headers["Content-Type"]), (
            "PATCH", "/api/v1/namespaces/media/pods", "Bearer " + BOOKS["account"], "application/merge-patch+json"))
        [(_, annotations)] = json.loads(body)["metadata"].items()
        if pod in self.fails:
            return 404, "{}"
        self.patches.append((pod, int(annotations[ANNOTATION])))
        return 200, "{}"

    def run_rounds(self, *answers):
        self.answers = list(answers)
        done = subprocess.run(
            [os.path.join(k8s.DEPLOY, "deletion-cost", "deletion-cost.sh")], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, timeout=60, env={**os.environ, "SCHEDULER": self.scheduler.url, "API": self.api.url, "EVERY_S": "0",
                                        "TOKEN_FILE": os.path.join(self.folder, "metrics"), "ACCOUNT": self.folder,
                                        "ROUNDS": str(len(answers))})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.answers, [])
        for secret in BOOKS.values():
            self.assertNotIn(secret, done.stderr)
        return done.stderr

    def test_emptiest_pods_cost_least(self):
        self.run_rounds(["edge-c", "edge-a", "edge-b"])
        self.assertEqual(self.patches, [("edge-c", -3), ("edge-a", -2), ("edge-b", -1)])

    def test_only_changes_are_told(self):
        self.run_rounds(["a", "b"], ["a", "b"], ["b", "a"], ["b", "a", "c"])
        self.assertEqual(self.patches, [("a", -2), ("b", -1), ("b", -2), ("a", -1), ("b", -3), ("a", -2), ("c", -1)])

    def test_goes_on_when_somebody_does_not_answer(self):
        self.fails = {"gone"}
        said = self.run_rounds(None, ["gone", "a"], [], ["a"])
        self.assertEqual(self.patches, [("a", -1), ("a", -1)])
        self.assertIn("scheduler not reached", said)
        self.assertIn("pod=gone", said)

    def test_what_is_no_name_of_a_pod_is_left_out(self):
        self.run_rounds(["../../nodes/x", "A b", "a"])
        self.assertEqual([pod for pod, _ in self.patches], ["a"])

    def test_ends_when_it_is_told_to(self):
        self.answers = [["a"]]
        made = subprocess.Popen(
            [os.path.join(k8s.DEPLOY, "deletion-cost", "deletion-cost.sh")], stderr=subprocess.DEVNULL,
            env={**os.environ, "SCHEDULER": self.scheduler.url, "API": self.api.url, "EVERY_S": "600", "ACCOUNT": self.folder,
                 "TOKEN_FILE": os.path.join(self.folder, "metrics")}, start_new_session=True)
        self.addCleanup(lambda: subprocess.run(["kill", "-KILL", "--", f"-{made.pid}"], stderr=subprocess.DEVNULL))
        harness.wait_until(lambda: self.patches, 10)
        made.send_signal(signal.SIGTERM)
        self.assertEqual(made.wait(5), 0)


class RedisTest(unittest.TestCase):
    """Three pods at 127.0.0.11 to .13, as the StatefulSet makes them: a server and a sentinel each."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="headwater-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.peers = [f"127.0.0.{11 + i}" for i in range(3)]
        self.port, self.sentinel_port = harness.free_port(), harness.free_port()
        self.password = "redis-test-password"
        with open(os.path.join(self.folder, "password"), "w", encoding="ascii") as file:
            file.write(self.password)
        self.processes = {}
        self.addCleanup(lambda: [p.popen.kill() or p.popen.wait() for p in self.processes.values() if p.is_alive()])

    def env(self, peer, kind):
        data = os.path.join(self.folder, f"{peer}-{kind}")
        os.makedirs(data, exist_ok=True)
        return {"ME": peer, "PEERS": " ".join(self.peers), "REDIS_PORT": str(self.port), "DATA": data, "BIND": peer,
                "SENTINEL_PORT": str(self.sentinel_port), "PASSWORD_FILE": os.path.join(self.folder, "password"),
                "DOWN_AFTER_MS": "1000", "FAILOVER_MS": "4000", "PING": peer}

    def script(self, *words):
        return ["sh", os.path.join(k8s.DEPLOY, "redis", "redis.sh"), *words]

    def start(self, peer):
        for kind in ("redis", "sentinel"):
            self.processes[peer, kind] = harness.Process(f"{peer}-{kind}", self.script(kind), self.folder, self.env(peer, kind))

    def kill(self, peer):
        for kind in ("redis", "sentinel"):
            made = self.processes.pop((peer, kind))
            made.popen.kill()
            made.popen.wait()

    def cli(self, peer, port, *words):
        done = subprocess.run(["redis-cli", "-h", peer, "-p", str(port), "--raw", *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=10,
                              env={**os.environ, **({"REDISCLI_AUTH": self.password} if port == self.port else {})})
        return done.stdout.split()

    def master(self, peer):
        """Whom that sentinel names, once it names one that says so itself."""
        named = self.cli(peer, self.sentinel_port, "sentinel", "get-master-addr-by-name", "headwater")
        return named[0] if named and self.cli(named[0], self.port, "role")[:1] == ["master"] else None

    def until_whole(self, master=None):
        def is_whole():
            live = [peer for peer in self.peers if (peer, "redis") in self.processes]
            named = {self.master(peer) for peer in live}
            if len(named) != 1 or None in named or (master and named != {master}):
                return None
            [one] = named
            states = [self.cli(peer, self.port, "role") for peer in live if peer != one]
            return one if all(s[0] == "slave" and "connected" in s for s in states) else None
        return harness.wait_until(is_whole, 40, "a master that all sentinels name, and replicas of it", step_s=0.2)

    def ping(self, peer, port):
        return subprocess.run(self.script("ping", str(port)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env={**os.environ, **self.env(peer, "redis")}).returncode

    def test_first_pod_begins_and_another_follows_when_it_is_gone(self):
        for peer in self.peers:
            self.start(peer)
        first = self.until_whole(self.peers[0])
        self.assertEqual([self.ping(first, port) for port in (self.port, self.sentinel_port)], [0, 0])
        self.assertEqual(self.cli(first, self.port, "set", "told", "yes"), ["OK"])
        scheduler = self.start_scheduler()
        self.until_ok(scheduler)
        # Servers are asked for their replicas every ten seconds.
        harness.wait_until(lambda: all(len(self.others(peer)) == len(self.others(peer, "replicas")) == 2 for peer in self.peers),
                           40, "sentinels know each other and the replicas", step_s=0.2)
        self.kill(first)
        self.assertNotEqual(self.ping(first, self.port), 0)
        second = harness.wait_until(lambda: next((m for m in [self.master(self.peers[1])] if m and m != first), None), 40,
                                    "another master", step_s=0.2)
        self.assertEqual(self.cli(second, self.port, "get", "told"), ["yes"])
        scheduler.wait_log(f"master={second}:{self.port}", 20)
        self.until_ok(scheduler)
        self.start(first)
        self.until_whole(second)
        self.assertTrue(all(len(self.others(peer)) == 2 for peer in self.peers), "a pod that came back is no sentinel more")
        self.assertEqual(self.cli(first, self.port, "get", "told"), ["yes"])

    def start_scheduler(self):
        made = harness.program("headwater-scheduler", {
            "http.listen": "127.0.0.1:0", "store.type": "redis", "store.redis.master": "headwater",
            "store.redis.sentinels": [f"{peer}:{self.sentinel_port}" for peer in self.peers],
            "store.redis.password_file": os.path.join(self.folder, "password")}, self.folder)
        self.processes["scheduler", ""] = made
        return made

    def until_ok(self, scheduler):
        address = harness.parse_address(scheduler.wait_ready()["http"])
        harness.wait_until(lambda: json.loads(harness.http_request(address, "/readyz")[2])["status"] == "ok", 20,
                           "the scheduler has Redis", step_s=0.1)

    def others(self, peer, kind="sentinels"):
        said = self.cli(peer, self.sentinel_port, "sentinel", kind, "headwater")
        return {said[i + 1] for i, word in enumerate(said) if word == "runid"}

    def test_nothing_is_answered_without_the_password(self):
        self.start(self.peers[0])
        harness.wait_until(lambda: self.ping(self.peers[0], self.port) == 0, 20)
        done = subprocess.run(["redis-cli", "-h", self.peers[0], "-p", str(self.port), "get", "x"], stdout=subprocess.PIPE,
                              text=True, env={**os.environ, "REDISCLI_AUTH": ""})
        self.assertIn("NOAUTH", done.stdout)


class SecretsTest(unittest.TestCase):
    def test_programs_take_the_tokens(self):
        [secret] = k8s.secret().all
        with harness.Cluster(origins=0, edges=0, schedulers=0) as cluster:
            for name, text in secret["stringData"].items():
                with open(os.open(os.path.join(cluster.folder, name), os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
                    file.write(text)
            node = cluster.make_node("origin", 0, **{"admin.tokens_file": os.path.join(cluster.folder, "admin-tokens"),
                                                     "admin.listen": "0.0.0.0:0"})
            cluster.origins.append(node)
            node.learn()
            admin = ("127.0.0.1", node.admin[1])
            for token, status in ((secret["stringData"]["metrics-token"], 200), ("x" * 48, 401)):
                self.assertEqual(harness.http_request(admin, "/metrics", headers={"Authorization": f"Bearer {token}"})[0], status)

    def test_password_of_a_redis_that_is_there_is_taken_over(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("theirs")
            file.flush()
            done = subprocess.run([os.path.join(k8s.DEPLOY, "secrets.sh"), "--redis-password-file", file.name],
                                  stdout=subprocess.PIPE, text=True, check=True)
        [secret] = k8s.Objects(done.stdout).all
        self.assertEqual(secret["stringData"]["redis-password"], "theirs")


if __name__ == "__main__":
    unittest.main()
