"""How many nodes a scheduler asks for: /v1/autoscale and the gauges, with hand-made nodes; what a restarted
scheduler says, and that two say the same."""

import math
import os
import re
import threading
import unittest

import harness
import k8s
from fake_node import FakeNode, SchedulerHarness, call


class Fleet:
    """Nodes that report five times a second, as load says: {id: {field: value}}."""

    def __init__(self, scheduler, role="edge"):
        self.scheduler, self.role = scheduler, role
        self.nodes, self.said = {}, {}
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def say(self, node_id, viewers, scheduler=None, **more):
        """From now on, at this scheduler."""
        with self.lock:
            if node_id not in self.nodes:
                self.nodes[node_id] = FakeNode(scheduler or self.scheduler, node_id, self.role)
            if scheduler:
                self.nodes[node_id].scheduler = scheduler
            self.said[node_id] = {"max_viewers": 100, "load": {"viewers": viewers, "cpu_permille": 10}, **more}

    def go(self, node_id):
        with self.lock:
            self.said.pop(node_id)

    def _run(self):
        while not self.ended.wait(0.2):
            with self.lock:
                for node_id, said in self.said.items():
                    try:
                        self.nodes[node_id].beat(**said)
                    except (OSError, AssertionError):
                        pass  # the scheduler is being started again

    def end(self):
        self.ended.set()
        self.thread.join()


class AutoscaleBase(SchedulerHarness):
    sets = {"autoscale.target_percent": "50", "autoscale.edge.max": "20", "autoscale.start_s": "10",
            "autoscale.scale_in_delay_s": "20", "lease_ms": "4000", "heartbeat_ms": "500"}

    def setUp(self):
        super().setUp()
        self.fleet = Fleet(self.scheduler)
        self.addCleanup(self.fleet.end)

    def ask(self, scheduler=None, role="edge"):
        status, headers, answer = call(scheduler or self.scheduler, "GET", f"/v1/autoscale?role={role}")
        if status == 503:
            self.assertIn("Retry-After", headers)
            return None
        self.assertEqual(status, 200, answer)
        return answer

    def until(self, wanted, replicas=None, scheduler=None, timeout_s=60):
        """Until so many are wanted, of so many that are there; a growth that nodes made as they came is forgotten by then."""
        answer = None

        def look():
            nonlocal answer
            answer = self.ask(scheduler)
            return answer and answer["wanted"] == wanted and replicas in (None, answer["replicas"])
        harness.wait_until(look, timeout_s, lambda: f"{wanted} wanted of {replicas}, last {answer}", step_s=0.1)
        return answer


class MemoryTest(AutoscaleBase, unittest.TestCase):
    def test_no_advice_before_all_could_be_heard(self):
        fresh = self.start()
        self.assertIsNone(self.ask(fresh))
        self.assertNotIn("headwater_edge_utilisation",
                         harness.Metrics(call(fresh, "GET", "/metrics")[2]).names())
        harness.wait_until(lambda: self.ask(fresh), 20, "advice")
        self.assertEqual(call(fresh, "GET", "/v1/autoscale")[0], 400)
        self.assertEqual(call(fresh, "GET", "/v1/autoscale?role=both")[0], 400)

    def test_advice_and_gauges_follow_the_load(self):
        for i, viewers in enumerate((30, 50, 70)):
            self.fleet.say(f"e{i}", viewers)
        answer = self.until(3, 3)
        self.assertEqual(answer["emptiest"], ["e0", "e1", "e2"])
        self.assertAlmostEqual(answer["utilisation"], 0.5)
        self.assertEqual(answer["headroom"], 150)
        for i in range(3):
            self.fleet.say(f"e{i}", 100)
        answer = self.until(6, 3)  # until then it grew, and more were wanted
        self.assertIn("viewers at 100% of 3 nodes, target 50%", answer["reason"])
        harness.wait_until(lambda: self.metric("headwater_edge_utilisation") == 1, 5, "the gauge")
        self.assertEqual(self.metric("headwater_autoscale_wanted", role="edge"), 6)
        self.assertEqual(self.metric("headwater_autoscale_replicas", role="edge"), 3)
        self.assertEqual(self.metric("headwater_autoscale_headroom_clients", role="edge"), 0)
        self.assertEqual(self.ask(role="origin")["replicas"], 0)

    def test_who_drains_or_is_silent_is_no_room(self):
        for i in range(4):
            self.fleet.say(f"e{i}", 50)
        self.until(4, 4)
        self.fleet.say("e1", 50, state="draining")
        answer = self.until(4, 3)
        self.assertEqual(answer["emptiest"][0], "e1")
        self.assertAlmostEqual(answer["utilisation"], 0.667, places=2)
        self.fleet.go("e2")  # its viewers come back elsewhere
        harness.wait_until(lambda: "e2" not in self.ask()["emptiest"], 10, "e2 is forgotten")
        self.until(4, 2)

    def test_restarted_scheduler_keeps_what_there_is_for_the_delay(self):
        for i in range(4):
            self.fleet.say(f"e{i}", 5)
        fresh = self.start()
        for i in range(4):
            self.fleet.say(f"e{i}", 5, fresh)
        answer = self.until(4, 4, fresh)
        self.assertIn("not all through the last 20 s", answer["reason"])
        self.until(1, 4, fresh)


class AccessTest(AutoscaleBase, unittest.TestCase):
    def prepare(self):
        path = f"{self.folder}/tokens"
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write("keda read 0123456789abcdef0123456789abcdef\n")
        self.sets = {**self.sets, "admin.tokens_file": path, "http.listen": "0.0.0.0:0"}

    def test_a_token_to_look_is_enough(self):
        port = self.scheduler.rpartition(":")[2]
        address = f"127.0.0.1:{port}"
        path = "/v1/autoscale?role=edge"
        self.assertEqual(call(address, "GET", path)[0], 401)
        self.assertIn(call(address, "GET", path,
                           headers={"Authorization": "Bearer 0123456789abcdef0123456789abcdef"})[0], (200, 503))


class KedaTest(AutoscaleBase, unittest.TestCase):
    """KEDA's metrics-api scaler, as deploy/k8s sets it up, with the tokens of its Secret."""

    def prepare(self):
        made = k8s.Objects(k8s.render(harness.tool("kubectl"), os.path.join("autoscale", "keda")))
        [scaled], [access] = made.of("ScaledObject"), made.of("TriggerAuthentication")
        [self.trigger] = scaled["spec"]["triggers"]
        self.assertEqual(self.trigger["authenticationRef"]["name"], access["metadata"]["name"])
        [parameter] = access["spec"]["secretTargetRef"]
        [secret] = k8s.secret().all
        self.assertEqual((parameter["parameter"], parameter["name"]), ("token", secret["metadata"]["name"]))
        self.token = secret["stringData"][parameter["key"]]
        path = f"{self.folder}/tokens"
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(secret["stringData"]["admin-tokens"])
        self.sets = {**self.sets, "admin.tokens_file": path, "http.listen": "0.0.0.0:0", "autoscale.edge.min": "3"}

    def replicas(self):
        """As an HPA with a metric of AverageValue counts them; None: it keeps what it has."""
        metadata = self.trigger["metadata"]
        host, path = re.fullmatch(r"http://([^/]+)(/.*)", metadata["url"]).groups()
        self.assertEqual((metadata["authMode"], self.trigger["metricType"]), ("bearer", "AverageValue"))
        status, _, answer = call("127.0.0.1:" + self.scheduler.rpartition(":")[2], "GET", path,
                                 headers={"Host": host, "Authorization": f"Bearer {self.token}"})
        if status == 503:
            return None
        self.assertEqual(status, 200, answer)
        return math.ceil(answer[metadata["valueLocation"]] / float(metadata["targetValue"]))

    def test_keda_gets_what_is_wanted(self):
        harness.wait_until(self.replicas, 20, "advice")
        self.assertEqual(self.replicas(), 3)  # the least, of none


class RedisTest(AutoscaleBase, unittest.TestCase):
    def prepare(self):
        self.redis = harness.Redis(self.folder)
        self.addCleanup(lambda: self.redis.process.stop())
        self.sets = {**self.sets, "store.type": "redis", "store.redis.url": self.redis.url()}

    def test_schedulers_agree_and_one_that_starts_says_what_they_say(self):
        second = self.start()
        for i in range(4):
            self.fleet.say(f"e{i}", 50, (self.scheduler, second)[i % 2])
        for address in (self.scheduler, second):
            self.until(4, 4, address)
        for i in range(4):
            self.fleet.say(f"e{i}", 100)
        both = (self.scheduler, second)
        harness.wait_until(lambda: min(self.ask(a)["wanted"] for a in both) > 9, 20, "a crowd is seen")
        for i in range(4):
            self.fleet.say(f"e{i}", 5)
        third = self.start()
        harness.wait_until(lambda: self.ask(third), 20, "advice")
        said = {self.ask(a)["wanted"] for a in (*both, third)}
        self.assertEqual(len(said), 1)  # what the others saw before it was there
        self.assertGreater(said.pop(), 9)
        harness.wait_until(lambda: {self.ask(a)["wanted"] for a in (self.scheduler, second, third)} == {1}, 60,
                           "all go back")

    def test_advice_is_held_without_redis_and_kept_when_it_was_emptied(self):
        for i in range(4):
            self.fleet.say(f"e{i}", 50)
        self.until(4, 4)
        self.redis.process.kill()
        harness.wait_until(lambda: "not all nodes are heard" in self.ask()["reason"], 20, "held")
        for i in range(4):
            self.fleet.say(f"e{i}", 5)
        self.redis.start()
        harness.wait_until(lambda: b"edge" in self.redis.command("GET", "hw:scale"), 10, "it is written again")
        self.assertEqual(self.ask()["wanted"], 4)
        self.until(1, 4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
