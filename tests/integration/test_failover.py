"""What becomes of streams when nodes fail, leave, are replaced or contradict each other: the scheduler's
part, driven by hand-made nodes."""

import json
import signal
import socket
import struct
import time
import unittest

import harness
from fake_node import Events, FakeNode, SchedulerHarness, call


class StandbyTest(SchedulerHarness, unittest.TestCase):
    """Publishers held ready, and their turn."""
    sets = {"store.type": "memory"}

    def hot_pair(self, streams=("live/x",)):
        """o1 owns, o2 holds a standby of each; returns both with their events."""
        one, two = self.pair()
        events = one.events(), two.events()
        for stream in streams:
            one.publish(stream)
            two.publish(stream, expect="standby", duplicate="standby")
        one.beat()
        two.beat()
        return one, two, *events

    def test_second_publisher_is_held_ready_and_gets_the_stream_when_the_first_leaves(self):
        one, two, _, events = self.hot_pair()
        answer = call(self.scheduler, "GET", "/api/v1/streams/live/x")[2]
        self.assertEqual((answer["owner"], answer["standbys"]), ("o1", ["o2"]))
        epoch = one.streams.pop("live/x")["epoch"]
        self.assertEqual(one.unpublish("live/x", epoch), 204)
        promote = events.wait("promote", "live/x")
        self.assertEqual(promote["node"], "o2")
        self.assertGreater(int(promote["epoch"]), int(epoch))
        two.owns("live/x", promote["epoch"])
        two.beat()
        answer = call(self.scheduler, "GET", "/api/v1/streams/live/x")[2]
        self.assertEqual((answer["owner"], answer["standbys"]), ("o2", []))
        self.assertEqual(self.metric("headwater_standbys_promoted_total"), 1)
        self.assertEqual(self.metric("headwater_publishes_total", decision="standby"), 1)

    def test_owner_that_dies_is_asked_once_and_all_its_streams_go_on(self):
        streams = [f"live/{i}" for i in range(5)]
        one, _, lost, events = self.hot_pair(streams)
        one.die()
        started = time.monotonic()
        lost.close()
        for stream in streams:
            events.wait("promote", stream)
        self.assertLess(time.monotonic() - started, 0.9)  # the lease of 1 s was not waited for
        self.assertEqual(self.metric("headwater_owner_probes_total", answer="gone"), 1)

    def test_owner_that_only_lost_its_connection_keeps_its_stream(self):
        one, two, lost, events = self.hot_pair()
        lost.close()
        harness.wait_until(lambda: self.metric("headwater_owner_probes_total", answer="alive") == 1, 5, "asked")
        for _ in range(3):
            one.beat()
            two.beat()
        self.assertEqual(self.owner("live/x"), "o1")
        self.assertEqual(events.of("promote"), [])

    def test_owner_that_carriers_report_gone_loses_to_its_standby(self):
        one, _, _, events = self.hot_pair()
        edge = FakeNode(self.scheduler, "e1", "edge")
        edge.beat()
        one.die()  # its events connection stays open, as of a frozen process
        edge.route("live/x", intent="source", avoid="o1")
        events.wait("promote", "live/x")
        route = edge.route("live/x", intent="source")
        self.assertEqual(route["upstreams"][0]["node"], "o2")

    def test_lapsed_owner_loses_to_its_standby_when_it_does_not_answer(self):
        one, two, _, events = self.hot_pair()

        def lapsed():
            two.beat()
            items = call(self.scheduler, "GET", "/api/v1/nodes")[2]["items"]
            return [n for n in items if n["id"] == one.id and n["state"] == "lapsed"]
        harness.wait_until(lapsed, 5, "the lease lapses", step_s=0.1)
        two.beat()
        self.assertEqual(events.of("promote"), [])  # its heartbeats may go to another scheduler
        one.die()
        harness.wait_until(lambda: two.beat() and events.of("promote"), 5, "promoted", step_s=0.1)

    def test_promotion_is_told_again_to_who_was_not_connected(self):
        one, two, _, events = self.hot_pair()
        events.close()

        def is_closed():
            one.beat()
            two.beat()
            return self.metric("headwater_events_connections") == 1
        harness.wait_until(is_closed, 5, "closed", step_s=0.1)
        epoch = one.streams.pop("live/x")["epoch"]
        one.unpublish("live/x", epoch)
        harness.wait_until(lambda: self.owner("live/x") == "o2", 5, "promoted")
        self.assertGreater(int(two.events().wait("promote", "live/x")["epoch"]), int(epoch))


class MoveTest(SchedulerHarness, unittest.TestCase):
    """One encoder session that comes by another way, and carriers that missed it."""
    sets = {"store.type": "memory"}

    def test_same_run_moves_at_once_whatever_the_policy(self):
        one, two = self.pair()
        events = one.events()
        first = one.publish("live/x", run="77")
        two.publish("live/x", expect="refused", run="78")
        moved = two.publish("live/x", run="77")
        self.assertGreater(int(moved["epoch"]), int(first["epoch"]))
        self.assertEqual(events.wait("fenced", "live/x")["node"], "o2")
        self.assertEqual(self.metric("headwater_streams_moved_total"), 1)

    def test_run_is_known_again_after_a_restart_of_the_scheduler(self):
        one, two = self.pair()
        one.publish("live/x", run="77")
        one.streams["live/x"]["run"] = "77"
        self.processes[0].stop()
        self.scheduler = one.scheduler = two.scheduler = self.start()
        one.beat()
        two.beat()
        two.publish("live/x", expect="refused", run="78")
        two.publish("live/x", run="77")

    def test_edge_that_names_a_failed_origin_is_forwarded_to_another(self):
        one, two = self.pair()
        edge = FakeNode(self.scheduler, "e1", "edge")
        edge.beat()
        one.publish("live/x", run="77")
        one.beat()
        self.assertEqual(edge.publish("live/x", expect="forward", run="77")["origin"], "o1")
        answer = edge.publish("live/x", expect="forward", run="77", avoid=["o1"])
        self.assertEqual((answer["origin"], answer["origin_http"]), ("o2", f"http://127.0.0.1:{two.port}"))
        self.assertTrue(call(self.scheduler, "GET", "/api/v1/nodes")[2]["items"][1]["suspect"])
        two.publish("live/x", run="77")
        self.assertEqual(self.owner("live/x"), "o2")

    def test_leaving_owner_is_not_protected(self):
        one, two = self.pair()
        one.publish("live/x", run="1")
        one.beat(state="draining")
        two.publish("live/x", run="2")  # the encoder came back by itself, as it was told to
        self.assertEqual(self.owner("live/x"), "o2")

    def test_carrier_that_missed_a_move_hears_of_it_with_its_heartbeat(self):
        one, two = self.pair()
        edge = FakeNode(self.scheduler, "e1", "edge")
        first = one.publish("live/x")
        edge.carry("live/x", first["epoch"], "o1")
        self.assertNotIn("moved", edge.beat())
        second = two.publish("live/x", duplicate="takeover")
        expected = [{"name": "live/x", "epoch": second["epoch"], "owner": "o2"}]
        self.assertEqual(edge.beat(full=False, streams=[])["moved"], expected)
        edge.carry("live/x", second["epoch"], "o2")
        self.assertNotIn("moved", edge.beat())

    def test_only_those_whom_it_concerns_hear_of_a_stream_in_a_large_cluster(self):
        others = [Events(self.scheduler, f"n{i}") for i in range(205)]
        one, _ = self.pair()
        carrier, asker = (FakeNode(self.scheduler, name, "edge") for name in ("e1", "e2"))
        events = carrier.events(), asker.events()
        carrier.carry("live/x", "5", "o1")
        carrier.beat()
        asker.beat()
        asker.route("live/x", intent="source")
        epoch = one.publish("live/x")["epoch"]
        for connection in events:
            self.assertEqual(connection.wait("published", "live/x")["epoch"], epoch)
        one.beat(state="draining")
        for connection in others:  # comes behind what they would have heard
            connection.wait("leaving")
            self.assertEqual(connection.of("published"), [])
        for connection in others:
            connection.close()


class LeaveTest(SchedulerHarness, unittest.TestCase):
    """Drains, replacements, and nodes that contradict each other."""
    sets = {"store.type": "memory"}

    def drain(self, node, method="POST"):
        return call(self.scheduler, method, f"/api/v1/nodes/{node}/drain", "{}" if method == "POST" else None,
                    {"Content-Type": "application/json"})

    def test_drain_is_ordered_told_once_and_taken_back(self):
        node, other = self.pair()
        events, others = node.events(), other.events()
        status, _, answer = self.drain("o1")
        self.assertEqual((status, answer["state"], answer["drain"]), (200, "draining", True))
        self.assertEqual(events.wait("drain")["node"], "o1")
        self.assertEqual(others.wait("leaving")["node"], "o1")
        self.assertTrue(node.beat()["drain"])
        node.beat(state="draining")
        edge = FakeNode(self.scheduler, "e1", "edge")
        edge.beat()
        self.assertEqual(edge.publish("live/x", expect="forward")["origin"], "o2")  # no new work
        self.assertEqual(self.drain("o1", "DELETE")[0], 200)
        self.assertEqual(events.wait("resume")["node"], "o1")
        self.assertNotIn("drain", node.beat())
        self.assertEqual([e["node"] for e in others.of("leaving")], ["o1"])
        self.assertEqual(self.drain("nobody")[0], 404)
        self.assertEqual(call(self.scheduler, "POST", "/api/v1/nodes/o1/drain", "{}")[0], 415)

    def test_drain_is_told_again_to_who_was_not_connected(self):
        node, _ = self.pair()
        self.drain("o1")
        self.assertEqual(node.events().wait("drain")["node"], "o1")

    def test_node_that_drains_by_itself_is_announced_once(self):
        node, other = self.pair()
        events = other.events()
        for _ in range(3):
            node.beat(state="draining")
        self.assertEqual(events.wait("leaving")["node"], "o1")
        other.publish("live/x")
        other.route("live/x")
        events.wait("published", "live/x")
        self.assertEqual(len(events.of("leaving")), 1)

    def test_replacing_instance_works_beside_the_old_one(self):
        old = FakeNode(self.scheduler, "o1", instance=1)
        old.beat()
        old_events = old.events()
        epoch = old.publish("live/x")["epoch"]
        old.beat()
        new = FakeNode(self.scheduler, "o1", instance=2)
        new.beat(replaces="1")
        events = new.events()
        old.beat(state="draining")  # not 409
        self.assertEqual(self.owner("live/x"), "o1")
        edge = FakeNode(self.scheduler, "e1", "edge")
        edge.beat()
        url = edge.route("live/x", intent="source")["upstreams"][0]["url"]
        self.assertEqual(url, f"http://127.0.0.1:{old.port}")  # who has the stream
        forward = edge.publish("live/y", expect="forward", run="5")
        self.assertEqual(forward["origin_http"], f"http://127.0.0.1:{new.port}")  # new work
        later = new.publish("live/x")  # its encoder came to the new process
        self.assertGreater(int(later["epoch"]), int(epoch))
        self.assertEqual(old_events.wait("fenced", "live/x")["epoch"], later["epoch"])
        self.assertEqual(events.of("fenced"), [])
        self.assertEqual(call(self.scheduler, "GET", "/api/v1/nodes")[2]["items"][1]["older"], ["1"])

    def test_contradictions_are_told_once_and_counted(self):
        first = FakeNode(self.scheduler, "o1", instance=1)
        first.beat()
        second = FakeNode(self.scheduler, "o1", instance=2)  # another machine with the same id
        second.beat()
        for _ in range(3):
            first.beat(expect=409)
        copy = FakeNode(self.scheduler, "o2")
        copy.port = second.port  # another id at the same address
        for _ in range(3):
            copy.beat()
            second.beat()
        liar = FakeNode(self.scheduler, "e1", "edge")
        for _ in range(3):
            liar.beat(load={"viewers": 2**32 - 1})
        self.assertEqual(self.metric("headwater_node_clashes_total", kind="second_instance"), 1)
        self.assertEqual(self.metric("headwater_node_clashes_total", kind="shared_address"), 1)
        self.assertEqual(self.metric("headwater_node_clashes_total", kind="load"), 1)
        log = self.processes[0].log()
        self.assertEqual(log.count("a second node with this id"), 1)
        self.assertEqual(log.count("at one internal address"), 1)
        self.assertEqual(log.count("was replaced by instance"), 1)

    def test_scheduler_that_was_stopped_takes_nobody_for_late(self):
        one, two = self.pair()
        one.publish("live/x")
        self.processes[0].signal(signal.SIGSTOP)
        time.sleep(2.5)  # two leases and a half: this is what is tested
        self.processes[0].signal(signal.SIGCONT)
        two.publish("live/x", expect="refused")
        self.assertEqual(self.metric("headwater_slept_total"), 1)

    def test_scheduler_that_was_stopped_grants_nothing_to_who_has_left(self):
        one, _ = self.pair()
        epoch = one.publish("live/x")["epoch"]
        body = json.dumps({"v": 1, "node": "o1", "instance": str(one.instance)}).encode()
        self.processes[0].signal(signal.SIGSTOP)
        for end in (b"", struct.pack("ii", 1, 0)):  # in order, and by a reset
            with socket.create_connection(harness.parse_address(self.scheduler)) as sock:
                sock.sendall(b"POST /v1/streams/live/x/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                             b"Content-Length: %d\r\n\r\n" % len(body) + body)
                if end:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, end)
        self.processes[0].signal(signal.SIGCONT)
        one.beat()
        self.assertEqual(call(self.scheduler, "GET", "/api/v1/streams/live/x")[2]["epoch"], epoch)
        self.assertEqual(self.metric("headwater_publishes_total", decision="granted"), 1)


class ScaleTest(SchedulerHarness, unittest.TestCase):
    """Long reports, limits, full clusters, tokens and traces."""
    sets = {"store.type": "memory"}

    def part(self, node, number, more, names):
        return node.beat(part=number, more=more,
                         streams=[{"name": name, "epoch": "1000"} for name in names])

    def test_long_report_comes_in_parts(self):
        node = FakeNode(self.scheduler, "o1")
        node.streams = {"old": {"name": "live/old", "epoch": "5"}}
        self.assertTrue(node.beat()["parts"])
        node.streams = {}
        names = [f"live/{i:04}" for i in range(5000)]
        for i in range(5):
            answer = self.part(node, i, i < 4, names[1000 * i:1000 * (i + 1)])
            self.assertNotIn("want_full", answer)
            self.assertEqual(self.owner("live/old"), "o1" if i < 4 else None)
        page = call(self.scheduler, "GET", "/api/v1/streams?limit=1000&after=live/3999")[2]
        self.assertEqual(len(page["items"]), 1000)
        self.part(node, 0, True, names[:1000])
        self.assertTrue(self.part(node, 2, False, names[2000:3000])["want_full"])  # one is missing
        self.assertEqual(self.owner("live/4999"), "o1")

    def test_full_reports_are_asked_for_a_few_at_a_time(self):
        self.scheduler = self.start(**{"limits.full_reports": 2})
        nodes = [FakeNode(self.scheduler, f"n{i}", answers=False) for i in range(5)]
        wanted = [node for node in nodes if node.beat(full=False).get("want_full")]
        self.assertEqual(len(wanted), 2)
        for node in wanted:
            self.assertNotIn("want_full", node.beat())
        self.assertEqual(sum(bool(node.beat(full=False).get("want_full")) for node in nodes), 2)

    def test_streams_above_the_limit_are_left_out_and_the_node_lives(self):
        self.scheduler = self.start(**{"limits.streams": 10})
        node = FakeNode(self.scheduler, "o1")
        for i in range(15):
            node.streams[i] = {"name": f"live/{i:02}", "epoch": "1000"}
        for _ in range(3):
            node.beat()
        harness.wait_until(lambda: node.beat() and self.metric("headwater_streams_known") == 10, 5, "counted",
                           step_s=0.1)
        self.assertGreaterEqual(self.metric("headwater_streams_left_out_total"), 15)
        self.assertEqual(call(self.scheduler, "GET", "/api/v1/nodes")[2]["items"][0]["state"], "active")
        self.assertEqual(self.processes[-1].log().count("limits.streams reached"), 1)

    def test_full_edges_send_viewers_on_and_then_away(self):
        FakeNode(self.scheduler, "o1").beat()
        edge = FakeNode(self.scheduler, "e1", "edge")
        edge.beat(max_viewers=2, load={"viewers": 1})
        self.assertEqual(call(self.scheduler, "GET", "/live/x.flv")[0], 302)
        status, headers, _ = call(self.scheduler, "GET", "/live/x.flv")
        self.assertEqual((status, headers["Retry-After"]), (503, "2"))
        FakeNode(self.scheduler, "e2", "edge").beat()
        self.assertEqual(call(self.scheduler, "GET", "/live/x.flv")[1]["Location"], "http://e2.example/live/x.flv")
        edge.beat(max_viewers=2, load={"viewers": 2})
        self.assertEqual(edge.route("live/x", intent="play", protocol="flv")["redirect_url"],
                         "http://e2.example/live/x.flv")
        self.assertEqual(edge.route("live/x", intent="play", protocol="flv", avoid="e1")["decision"], "redirect")
        harness.wait_until(lambda: self.metric("headwater_edges_at_limit") == 1, 5, "counted")

    def test_tokens_are_rotated_by_reload(self):
        path = f"{self.folder}/token"

        def write(text):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)

        def status(token):
            return call(address, "GET", "/api/v1/nodes", None, {"Authorization": f"Bearer {token}"})[0]

        def reload():
            start = self.processes[-1].log_size()
            self.processes[-1].signal(signal.SIGHUP)
            self.processes[-1].wait_log("msg=reloaded", start=start)
        write("first\n")
        other = self.start(**{"http.listen": "0.0.0.0:0", "token_file": path})
        address = "127.0.0.1:" + other.rsplit(":", 1)[1]
        self.assertEqual((status("first"), status("second")), (200, 401))
        write("second\nfirst\n")
        reload()
        self.assertEqual((status("first"), status("second"), status("")), (200, 200, 401))
        write("second\n")
        reload()
        self.assertEqual((status("first"), status("second")), (401, 200))
        write("\n")  # a mistake: the old ones stay
        reload()
        self.assertEqual(status("second"), 200)
        self.assertNotIn("second\n", self.processes[-1].log())

    def trace(self, query):
        return call(self.scheduler, "GET", f"/v1/trace?{query}")

    def test_trace_is_passed_on_from_the_node_that_has_the_session(self):
        edges = [FakeNode(self.scheduler, f"e{i:02}", "edge") for i in range(40)]
        for edge in edges:
            edge.beat(load={"viewers": 3})
        empty = FakeNode(self.scheduler, "idle", "edge")
        empty.beat()
        answer = {"session": "a1-9", "hops": [{"node": "e33"}]}
        edges[33].sessions["a1-9"] = empty.sessions["a1-9"] = answer
        self.assertEqual(self.trace("session=a1-9")[::2], (200, answer))
        self.assertEqual(empty.asked, [])  # it has no viewers
        self.assertEqual(self.trace("session=a1-9&node=e33")[::2], (200, answer))
        self.assertEqual(edges[33].asked[-1], ("/v1/trace?session=a1-9", ""))
        self.assertEqual(self.trace("session=a1-9&node=e01")[0], 404)
        self.assertEqual(self.trace("session=none")[0], 404)
        self.assertTrue(all(edge.asked for edge in edges))
        edges[5].die()
        self.assertEqual(self.trace("session=none")[0], 504)  # it may have been there
        for bad in ("", "session=", "session=/b", "session=a/", "session=a/b/c", "session=a%0db", "session=" + "x" * 65, "session=a&node=a%20b"):
            self.assertEqual(self.trace(bad)[0], 400, bad)
        self.assertEqual(self.trace("session=a&node=nobody")[0], 404)
        self.assertEqual(self.trace("session=nobody/a")[0], 404)
        self.assertEqual(self.trace("session=e33/a1-9")[::2], (200, answer))
        self.assertEqual(edges[33].asked[-1], ("/v1/trace?session=a1-9", ""))


class ReplicasTest(SchedulerHarness, unittest.TestCase):
    """The same across two schedulers with one Redis."""

    def prepare(self):
        self.redis = harness.Redis(self.folder)
        self.addCleanup(lambda: self.redis.process.kill())
        self.sets = {"store.type": "redis", "store.redis.url": self.redis.url()}

    def setUp(self):
        super().setUp()
        self.other = self.start()
        self.one = FakeNode(self.scheduler, "o1")
        self.two = FakeNode(self.other, "o2")
        for scheduler in (self.scheduler, self.other):
            self.wait(lambda: len(call(scheduler, "GET", "/api/v1/nodes")[2]["items"]) == 2, "both are known")

    def wait(self, condition, what):
        """Beats meanwhile, as nodes do, so that no lease lapses."""
        def look():
            self.one.beat()
            self.two.beat()
            return condition()
        return harness.wait_until(look, 5, what, step_s=0.1)

    def hot_pair(self):
        self.one.publish("live/x")
        self.wait(lambda: self.owner("live/x", self.other) == "o1", "the other one hears of it")
        self.two.publish("live/x", expect="standby", duplicate="standby")
        self.two.beat()

    def test_standby_of_another_scheduler_gets_the_stream_when_the_owner_is_lost(self):
        events, lost = self.two.events(), self.one.events()
        self.hot_pair()
        self.one.die()
        lost.close()  # the owner's scheduler knows no standby, the other one asks the owner
        harness.wait_until(lambda: self.two.beat() and events.of("promote"), 0.9, "promoted before the lease ends")

    def test_standby_of_another_scheduler_gets_the_stream_when_the_owner_releases(self):
        events = self.two.events()
        self.hot_pair()
        self.one.unpublish("live/x", self.one.streams.pop("live/x")["epoch"])
        promote = events.wait("promote", "live/x")
        harness.wait_until(lambda: self.owner("live/x") == "o2", 5, "the first scheduler hears of it")
        self.assertIn(promote["epoch"].encode(), self.redis.command("GET", "hw:stream:live/x"))

    def test_drain_reaches_a_node_of_another_scheduler(self):
        events, leaving = self.two.events(), self.one.events()
        call(self.scheduler, "POST", "/api/v1/nodes/o2/drain", "{}", {"Content-Type": "application/json"})
        self.assertEqual(events.wait("drain")["node"], "o2")
        self.assertEqual(leaving.wait("leaving")["node"], "o2")
        self.assertTrue(self.two.beat()["drain"])
        call(self.scheduler, "DELETE", "/api/v1/nodes/o2/drain", None, {"Content-Type": "application/json"})
        events.wait("resume")
        self.assertNotIn("drain", self.two.beat())


if __name__ == "__main__":
    unittest.main(verbosity=2)
