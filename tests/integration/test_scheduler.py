"""The scheduler's API, driven by hand-made nodes: leases, grants, fences, events, routes, redirects, and
the same with Redis, which is killed and emptied on the way."""

import http.client
import json
import signal
import socket
import time
import unittest

import harness
from fake_node import Events, FakeNode, SchedulerHarness, call


class SchedulerBase(SchedulerHarness):
    """Both stores run these."""

    def test_publish_is_granted_refused_taken_over_and_given_up(self):
        one, two = self.pair()
        events = Events(self.scheduler, "o1")  # of a node that does not say its instance
        first = one.publish("live/x")
        self.assertGreater(int(first["epoch"]), 1_600_000_000_000_000)
        self.assertEqual(first["lease_ms"], 1000)
        refused = two.publish("live/x", expect="refused")
        self.assertEqual(refused["origin"], "o1")
        again = one.publish("live/x")
        self.assertGreater(int(again["epoch"]), int(first["epoch"]))
        taken = two.publish("live/x", takeover=True)
        self.assertGreater(int(taken["epoch"]), int(again["epoch"]))
        fenced = events.wait("fenced", "live/x")
        self.assertEqual((fenced["epoch"], fenced["node"]), (taken["epoch"], "o2"))
        answer = one.beat()  # it still says that the stream is its own
        self.assertEqual(answer["fenced"], [{"name": "live/x", "epoch": taken["epoch"], "owner": "o2"}])
        self.assertEqual(one.unpublish("live/x", again["epoch"]), 409)
        self.assertEqual(self.owner("live/x"), "o2")
        self.assertEqual(two.unpublish("live/x", taken["epoch"]), 204)
        self.assertEqual(events.wait("ended", "live/x")["node"], "o2")
        self.assertEqual(two.unpublish("live/x", taken["epoch"]), 404)
        del one.streams["live/x"]
        one.beat()
        self.assertGreater(int(one.publish("live/x")["epoch"]), int(taken["epoch"]))

    def test_suspect_owner_is_asked_and_only_a_dead_one_loses(self):
        one, two = self.pair()
        events = Events(self.scheduler, "o1")
        one.publish("live/x")
        one.beat()
        events.close()
        harness.wait_until(lambda: call(self.scheduler, "GET", "/api/v1/nodes")[2]["items"][0]["suspect"],
                           5, "o1 is suspect")
        two.publish("live/x", expect="refused")
        self.assertEqual(self.metric("headwater_owner_probes_total", answer="alive"), 1)
        one.die()
        one.beat()  # the lease runs: only the question tells
        two.route("live/x", intent="source", avoid="o1")
        started = time.monotonic()
        two.publish("live/x")
        self.assertLess(time.monotonic() - started, 1)
        self.assertEqual(self.owner("live/x"), "o2")
        self.assertEqual(self.metric("headwater_owner_probes_total", answer="gone"), 1)

    def test_edge_is_forwarded_to_the_least_loaded_origin(self):
        one, _ = self.pair()
        edge = FakeNode(self.scheduler, "e1", "edge")
        one.beat(load={"publishers": 5})
        edge.beat()
        answer = edge.publish("live/x", expect="forward")
        self.assertEqual((answer["origin"], answer["origin_rtmp"]), ("o2", "rtmp://127.0.0.1:1"))
        self.assertTrue(answer["origin_http"].startswith("http://127.0.0.1:"))
        one.publish("live/x")
        one.beat(load={"publishers": 6})
        self.assertEqual(edge.publish("live/x", expect="forward")["origin"], "o1")

    def test_gap_asks_for_a_full_report_and_an_old_one_is_refused(self):
        node = FakeNode(self.scheduler, "o1")
        self.assertTrue(node.beat(full=False)["want_full"])
        self.assertNotIn("want_full", node.beat())
        self.assertNotIn("want_full", node.beat(full=False))
        node.seq += 1
        self.assertTrue(node.beat(full=False)["want_full"])
        self.assertNotIn("want_full", node.beat())
        status, _, problem = node.call("POST", "/v1/nodes/o1/heartbeat", node.message(seq=1))
        self.assertEqual((status, problem["detail"]), (409, "seq: 1 is older than 6"))

    def test_new_instance_replaces_the_old_one(self):
        old = FakeNode(self.scheduler, "o1", instance=1)
        old.beat()
        epoch = old.publish("live/x")["epoch"]
        FakeNode(self.scheduler, "o1", instance=2).beat()
        self.assertIsNone(self.owner("live/x"))
        old.beat(expect=409)
        self.assertEqual(old.unpublish("live/x", epoch), 404)
        self.assertIn("replaced", old.publish("live/y", expect="refused")["reason"])

    def test_lease_expires_and_another_node_may_publish(self):
        one, two = self.pair()
        one.publish("live/x")
        edge = FakeNode(self.scheduler, "e1", "edge")

        def lapsed():
            two.beat()
            edge.beat()
            items = call(self.scheduler, "GET", "/api/v1/nodes")[2]["items"]
            return [n for n in items if n["id"] == "o1" and n["state"] == "lapsed"]
        self.assertEqual(edge_route(edge)["decision"], "pull")
        harness.wait_until(lapsed, 5, "the lease lapses")
        self.assertEqual(edge_route(edge)["decision"], "wait")
        two.publish("live/x", expect="refused")  # the owner is asked, and answers
        one.die()
        two.route("live/x", intent="source", avoid="o1")  # or its answer holds for three intervals
        two.publish("live/x")
        self.assertEqual(edge_route(edge)["upstreams"][0]["node"], "o2")

    def test_route_gives_upstreams_and_explains(self):
        one, _ = self.pair()
        epoch = one.publish("live/x")["epoch"]
        one.beat()
        near, far = FakeNode(self.scheduler, "e1", "edge"), FakeNode(self.scheduler, "e2", "edge")
        near.carry("live/x", epoch, "o1", viewers=3)
        near.beat()
        far.beat()
        route = far.route("live/x", intent="source")
        self.assertEqual([(u["node"], u.get("depth", 0)) for u in route["upstreams"]], [("o1", 0), ("e1", 1)])
        self.assertEqual(route["upstreams"][0], {"node": "o1", "url": f"http://127.0.0.1:{one.port}",
                                                 "epoch": epoch})
        explained = far.route("live/x", intent="source", explain=1)["candidates"]
        self.assertEqual({e["node"]: e["why"] for e in explained},
                         {"o1": "taken", "e1": "taken", "o2": "does not carry the stream",
                          "e2": "the asker itself"})  # which was told a moment ago where to pull
        self.assertEqual([(e["node"], e["order"]) for e in explained[:2]], [("o1", 1), ("e1", 2)])
        self.assertEqual(explained[0]["epoch"], epoch)
        people = call(self.scheduler, "GET", "/v1/route?stream=live/x&explain=1")[2]
        self.assertEqual((people["decision"], people["candidates"][0]["node"]), ("redirect", "e1"))
        answer = call(self.scheduler, "GET", "/api/v1/streams/live/x")[2]
        self.assertEqual((answer["owner"], answer["epoch"], answer["viewers"]), ("o1", epoch, 3))
        self.assertEqual(answer["carriers"][0]["node"], "e1")

    def test_entry_point_redirects_viewers_to_an_edge(self):
        status, headers, _ = call(self.scheduler, "GET", "/live/x.flv")
        self.assertEqual((status, headers["Retry-After"]), (503, "2"))
        FakeNode(self.scheduler, "o1").beat()
        FakeNode(self.scheduler, "e1", "edge").beat()
        status, headers, _ = call(self.scheduler, "GET", "/live/x.flv?token=a%20b&c=d")
        self.assertEqual((status, headers["Location"]), (302, "http://e1.example/live/x.flv?token=a%20b&c=d"))
        self.assertEqual(headers["Access-Control-Allow-Origin"], "*")
        self.assertEqual(headers["Cache-Control"], "no-store")
        location = call(self.scheduler, "GET", "/live/sub/zw%C3%B6lf.flv")[1]["Location"]
        self.assertEqual(location, "http://e1.example/live/sub/zw%C3%B6lf.flv")
        for path in ("/live/x.exe", "/live/.hidden.flv", "/v1/x.flv"):
            self.assertEqual(call(self.scheduler, "GET", path)[0], 404, path)
        self.assertEqual(call(self.scheduler, "POST", "/live/x.flv")[0], 405)

    def test_lists_come_in_pages(self):
        node = FakeNode(self.scheduler, "o1")
        for i in range(25):
            node.streams[i] = {"name": f"live/{i:02}", "epoch": str(1000 + i)}
        node.beat()
        names, after = [], ""
        while after is not None:
            page = call(self.scheduler, "GET", f"/api/v1/streams?limit=10&after={after}")[2]
            self.assertLessEqual(len(page["items"]), 10)
            names += [item["name"] for item in page["items"]]
            after = page["next"]
        self.assertEqual(names, [f"live/{i:02}" for i in range(25)])
        self.assertEqual(call(self.scheduler, "GET", "/api/v1/streams?limit=x")[0], 400)

    def test_bad_input_is_refused_with_the_path(self):
        node = FakeNode(self.scheduler, "o1")
        node.beat()
        epoch = node.publish("live/x")["epoch"]
        path = "/v1/nodes/o1/heartbeat"
        good = node.message()
        for change, detail in [
                ({"instance": 7}, "instance: expected a decimal string, found a number"),
                ({"role": "king"}, "role: expected one of origin edge both, found another string"),
                ({"streams": [{"name": "live/x"}, {"name": 5}]},
                 "streams[1].name: expected a stream name, found a number"),
                ({"public": {"http": "http://a\r\nX: y"}}, "public.http: expected scheme://host:port"),
                ({"streams": [{"name": "live/x", "epoch": str(2**64 - 1)}]}, "streams[0].epoch: 184467"),
                ({"highest_epoch": str(2**64)}, "highest_epoch: expected a decimal string"),
                ({"load": {"viewers": -1}}, "load.viewers: expected a number from 0")]:
            status, _, problem = node.call("POST", path, {**good, **change})
            self.assertEqual(status, 400, change)
            self.assertTrue(problem["detail"].startswith(detail), problem["detail"])
        for body in ("", "{", "[" * 100000, "null", '{"v":1}', "\0", "{\"v\":1,\"v\":1}"):
            self.assertEqual(node.call("POST", path, body)[0], 400, body[:20])
        self.assertEqual(node.call("POST", path, '{"v":1,"x":[' + "{}," * 400000 + "{}]}")[0], 413)
        for bad in ("/v1/nodes/a%20b/heartbeat", "/v1/streams/live/.x/publish", "/v1/streams/v1/x/publish"):
            self.assertEqual(node.call("POST", bad, good)[0], 400, bad)
        self.assertEqual(call(self.scheduler, "POST", path, json.dumps(good))[0], 415)
        self.assertEqual(call(self.scheduler, "GET", "/v1/route?stream=nope")[0], 400)
        thief = FakeNode(self.scheduler, "o2")  # says that the stream is its own, with a later epoch
        thief.streams["live/x"] = {"name": "live/x", "epoch": str(int(epoch) + 10**9)}
        thief.beat()
        thief.beat()
        self.assertEqual(self.owner("live/x"), "o1")

    def test_node_that_claims_the_last_epoch_does_not_lock_the_others_out(self):
        century_us = 100 * 366 * 86400 * 10**6
        _, two = self.pair()
        liar = FakeNode(self.scheduler, "o3")
        last = time.time_ns() // 1000 + century_us - 10**6
        liar.beat(highest_epoch=str(last))
        for stream in ("live/x", "live/y"):
            self.assertGreater(int(two.publish(stream)["epoch"]), last)
            two.beat()  # what it was given counts as given
        self.assertEqual(self.owner("live/x"), "o2")
        liar.beat(highest_epoch=str(last + 2 * century_us), expect=400)

    def test_of_many_publishers_that_wait_for_a_silent_owner_one_is_granted(self):
        one, two = self.pair()
        one.publish("live/x")
        one.die()
        silent = socket.create_server(("127.0.0.1", one.port))  # takes connections and says nothing
        self.addCleanup(silent.close)
        one.beat()
        two.route("live/x", intent="source", avoid="o1")
        waiting = []
        for i in range(60):
            connection = http.client.HTTPConnection(self.scheduler, timeout=10)
            connection.request("POST", "/v1/streams/live/x/publish", json.dumps(
                {"v": 1, "node": f"n{i}", "instance": "5"}), {"Content-Type": "application/json"})
            waiting.append(connection)
        for connection in waiting[::2]:
            connection.close()  # half of them leave
        said = [json.load(connection.getresponse())["decision"] for connection in waiting[1::2]]
        for connection in waiting:
            connection.close()
        self.assertEqual(sorted(said), ["granted"] + ["refused"] * 29)
        self.assertEqual(self.metric("headwater_owner_probes_total"), 1)

    def test_only_local_requests_need_no_token(self):
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            self.assertEqual(call(self.scheduler, "GET", "/api/v1/nodes", None, headers)[0], 401, headers)
        self.assertEqual(call(self.scheduler, "GET", "/healthz", None, {"Host": "x"})[0], 200)
        with open(f"{self.folder}/token", "w") as file:
            file.write("secret-token\n")
        other = self.start(**{"http.listen": "0.0.0.0:0", "token_file": f"{self.folder}/token"})
        address = "127.0.0.1:" + other.rsplit(":", 1)[1]
        self.assertEqual(call(address, "GET", "/api/v1/nodes")[0], 401)
        self.assertEqual(call(address, "GET", "/api/v1/nodes", None, {"Authorization": "Bearer no"})[0], 401)
        self.assertEqual(call(address, "GET", "/api/v1/nodes", None,
                              {"Authorization": "Bearer secret-token"})[0], 200)
        self.assertNotIn("secret-token", self.processes[-1].log())

    def test_reload_reopens_the_log_and_terminate_ends_with_open_connections(self):
        Events(self.scheduler, "o1")
        process = self.processes[0]
        process.signal(signal.SIGHUP)
        process.wait_log("msg=reloaded")
        self.assertEqual(process.stop(), 0)


def edge_route(edge):
    return edge.route("live/x", intent="source")


class MemoryTest(SchedulerBase, unittest.TestCase):
    sets = {"store.type": "memory"}

    def test_restarted_scheduler_learns_everything_from_reports(self):
        one, two = self.pair()
        epoch = one.publish("live/x")["epoch"]
        self.processes[0].stop()
        self.scheduler = one.scheduler = two.scheduler = self.start()
        self.assertTrue(one.beat(full=False)["want_full"])
        one.beat()
        two.beat()
        self.assertEqual(self.owner("live/x"), "o1")
        two.publish("live/x", expect="refused")
        self.assertGreater(int(two.publish("live/x", takeover=True)["epoch"]), int(epoch))

    def test_entry_listen_serves_viewers_only(self):
        self.start(**{"entry.listen": "127.0.0.1:0"})
        entry = self.processes[-1].wait_ready()["entry"]
        self.assertEqual(call(entry, "GET", "/live/x.flv")[0], 503)
        self.assertEqual(call(entry, "GET", "/healthz")[0], 200)
        for path in ("/api/v1/nodes", "/v1/route?stream=a/b", "/metrics"):
            self.assertEqual(call(entry, "GET", path)[0], 404, path)


class RedisTest(SchedulerBase, unittest.TestCase):
    def prepare(self):
        self.redis = harness.Redis(self.folder)
        self.addCleanup(lambda: self.redis.process.kill())
        self.sets = {"store.type": "redis", "store.redis.url": self.redis.url()}

    def ready(self):
        return call(self.scheduler, "GET", "/readyz")[2]["status"]

    def test_state_is_back_within_two_heartbeats_when_redis_returns_empty(self):
        one, two = self.pair()
        epoch = one.publish("live/x")["epoch"]
        one.beat()
        self.redis.process.kill()
        harness.wait_until(lambda: self.ready() == "degraded", 5, "degraded")
        self.assertEqual(call(self.scheduler, "GET", "/healthz")[0], 200)
        self.assertEqual(self.metric("headwater_store_up"), 0)
        two.beat()
        later = two.publish("live/y")  # answered from memory
        self.assertGreater(int(later["epoch"]), int(epoch))
        self.assertEqual(self.metric("headwater_publishes_degraded_total"), 1)
        one.beat()
        two.publish("live/x", expect="refused")
        self.redis.start()

        def beat_all():  # as nodes do all the time: a lease must not lapse while the test waits
            for node in (one, two):
                if node.beat(full=False).get("want_full"):
                    node.beat()
            return self.ready() == "ok"

        harness.wait_until(beat_all, 10, "redis is back", step_s=0.2)
        beat_all()
        beat_all()
        answer = self.redis.command("MGET", "hw:stream:live/x", "hw:stream:live/y")
        self.assertIn(b'"node":"o1"', answer)
        self.assertIn(b'"node":"o2"', answer)
        self.assertIn(epoch.encode(), answer)
        self.assertIn(b'"state":"active"', self.redis.command("GET", "hw:node:o1"))
        self.assertGreater(int(one.publish("live/x")["epoch"]), int(later["epoch"]))
        log = self.processes[0].log()
        self.assertEqual(log.count("store away"), 1)

    def test_flush_is_repaired_by_full_reports(self):
        one, _ = self.pair()
        epoch = one.publish("live/x")["epoch"]
        one.beat()
        self.redis.command("FLUSHALL")
        harness.wait_until(lambda: one.beat(full=False).get("want_full"), 5, "a full report is wanted")
        one.beat()
        # a heartbeat does not wait for the store: its answer may come before the write
        harness.wait_until(lambda: epoch.encode() in self.redis.command("GET", "hw:stream:live/x"), 5,
                           "the owner is in Redis again")

    def test_replica_knows_owners_and_hears_of_changes(self):
        one, two = self.pair()
        one.publish("live/x")
        other = self.start()
        harness.wait_until(lambda: self.owner("live/x", other) == "o1", 5, "the replica reads the owner")
        events = Events(other, "e9")
        two.scheduler = other
        two.beat()
        epoch = one.publish("live/y")["epoch"]
        self.assertEqual(events.wait("published", "live/y")["epoch"], epoch)
        two.publish("live/y", expect="refused")
        taken = two.publish("live/y", takeover=True)
        harness.wait_until(lambda: self.owner("live/y") == "o2", 5, "the first one hears of it")
        self.assertEqual(one.beat()["fenced"][0]["epoch"], taken["epoch"])
        self.assertEqual(two.unpublish("live/y", taken["epoch"]), 204)
        harness.wait_until(lambda: self.owner("live/y") is None, 5, "and of its end")

    def test_password_is_sent_and_a_wrong_one_is_told(self):
        self.redis.command("CONFIG", "SET", "requirepass", "pass word")
        with open(f"{self.folder}/password", "w") as file:
            file.write("wrong\n")
        process = harness.program("headwater-scheduler", {
            "http.listen": "127.0.0.1:0", **self.sets, "store.redis.password_file": f"{self.folder}/password"},
            self.folder)
        self.processes.append(process)
        process.wait_log("WRONGPASS")
        self.assertNotIn("wrong\n", process.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
