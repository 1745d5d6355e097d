"""Tracing: the way of a stream to one session, hop by hop, with lags that agree with what viewers measure."""

import harness
import relay
import swarm
from test_cluster import small, until_playing
from test_relay import until_known

AUTH = {"Authorization": f"Bearer {harness.TOKEN}"}
SOME_MS = 40  # of turns, timers and Python, on a busy machine


def median(values):
    return sorted(values)[len(values) // 2]


def nodes_of(trace):
    return [hop["node"] for hop in trace["hops"]]


class TraceTest(harness.ClusterTest):
    """What all clusters here share."""

    def trace(self, session, node=None):
        """By the scheduler, or by a node's media port."""
        address = node.http if node else self.cluster.scheduler.http
        return harness.get_json(address, f"/v1/trace?session={session}", AUTH)

    def until_measured(self, flock, node, stream):
        """Until the node knows how late it is; the cached GOP that a pull begins with has passed."""
        def known():
            return harness.get_json(node.admin, f"/api/v1/streams/{stream}")["lag_us"] is not None

        flock.until(known, 10, f"{node.id} knows its lag")
        flock.run(1.5)

    def assert_sane(self, trace):
        """Lags grow from the encoder on, as far as they are known."""
        hops = trace["hops"]
        self.assertEqual((hops[-1]["lag_us"], hops[-1]["uncertainty_us"]), (0, 0))
        self.assertEqual(len({hop["epoch"] for hop in hops}), 1, hops)
        for nearer, farther in zip(hops, hops[1:]):
            self.assertGreaterEqual(nearer["uncertainty_us"], farther["uncertainty_us"])
            self.assertGreaterEqual(nearer["lag_us"] + nearer["uncertainty_us"],
                                    farther["lag_us"] - farther["uncertainty_us"], hops)
            self.assertGreaterEqual(farther["age_us"] + farther["uncertainty_us"] + nearer["uncertainty_us"],
                                    nearer["age_us"], hops)
            self.assertLess(nearer["uncertainty_us"], SOME_MS * 1000)


class ChainTest(TraceTest):
    """An origin with room for one child: the second edge pulls from the first."""

    cluster_args = {"origins": 1, "edges": 2, "scheduler_set": {"max_children": "1"},
                    "node_set": {"latency": "realtime"}}

    def grow(self, flock, stream):
        """Returns publisher, the edge at the end of the chain, the one above it, a viewer of each."""
        publisher = flock.publish(self.cluster.origins[0].rtmp, stream, small())
        until_known(flock, self.cluster, stream)
        viewers = []
        for edge in self.cluster.edges:
            viewers.append(flock.play_flv(edge.http, stream))
            until_playing(flock, viewers[-1:], 5, what=f"{edge.id} plays")
            flock.until(lambda: edge.id in self.carriers(stream), 10, f"{edge.id} is known as a carrier")
        above, below = self.cluster.edges
        self.assertEqual(relay.upstream_of(below, stream), above.id)
        return publisher, below, above, viewers

    def carriers(self, stream):
        answer = harness.get_json(self.cluster.scheduler.http, f"/api/v1/streams/{stream}")
        return {c["node"] for c in answer["carriers"]}

    def test_hops_are_listed_from_the_viewer_to_the_encoder(self):
        with swarm.Swarm() as flock:
            _, below, above, viewers = self.grow(flock, "live/chain")
            self.until_measured(flock, below, "live/chain")
            node, session = viewers[1].headers["x-headwater-session"].split("/")
            self.assertEqual(node, below.id)
            trace = self.trace(session)
            self.assertEqual(nodes_of(trace), [below.id, above.id, "origin-1"])
            self.assertEqual((trace["session"], trace["stream"], trace["protocol"], trace["kind"], trace["node"]),
                             (session, "live/chain", "flv", "play", below.id))
            self.assertEqual(trace["hops"][0]["role"], "edge")
            self.assertTrue(trace["peer"].endswith(f":{viewers[1].local_port}"))
            self.assertRegex(trace["encoder"]["run"], "^[0-9]+$")
            self.assert_sane(trace)
            for same in (self.trace(f"{below.id}/{session}"), self.trace(session, below),
                         harness.get_json(below.admin, f"/api/v1/trace?session={session}")):
                self.assertEqual(nodes_of(same), nodes_of(trace))
            one = harness.get_json(below.admin, f"/api/v1/sessions/{session}")
            self.assertEqual((one["id"], one["kind"], nodes_of(one)), (session, "play", nodes_of(trace)))
            self.assertIsInstance(one["lag_us"], int)
            self.assert_clean(*viewers)

    def test_lag_agrees_with_what_viewers_measure(self):
        with swarm.Swarm() as flock:
            _, below, above, viewers = self.grow(flock, "live/late")
            self.until_measured(flock, below, "live/late")
            for viewer in viewers:
                viewer.log.delays_us = []
            lags = {edge: [] for edge in (below, above)}
            for _ in range(10):
                flock.run(0.4)
                for edge in lags:
                    lags[edge].append(harness.get_json(edge.admin, "/api/v1/streams/live/late"))
            for edge, viewer in zip((above, below), viewers):
                lag_ms = median([s["lag_us"] for s in lags[edge]]) / 1000
                unc_ms = max(s["lag_uncertainty_us"] for s in lags[edge]) / 1000
                seen_ms = median(viewer.log.delays_us) / 1000
                what = f"{edge.id}: {lag_ms} +- {unc_ms} ms, viewers saw {seen_ms} ms"
                self.assertLessEqual(lag_ms, seen_ms + unc_ms + SOME_MS, what)
                self.assertGreaterEqual(lag_ms, seen_ms - unc_ms - SOME_MS, what)
            metrics = below.metrics()
            self.assertGreaterEqual(metrics.total("headwater_stream_lag_seconds_count"), 8)
            self.assertLess(metrics.total("headwater_stream_lag_uncertainty_seconds_sum")
                            / metrics.total("headwater_stream_lag_uncertainty_seconds_count"), SOME_MS / 1000)
            self.assertGreaterEqual(metrics.total("headwater_clock_asks_total", result="answered"), 4)
            self.assertEqual(metrics.total("headwater_clock_peers"), 1)
            self.assertEqual(self.cluster.origins[0].metrics().total("headwater_stream_lag_seconds_count"), 0)

    def test_a_silent_stream_grows_old_and_is_no_later(self):
        with swarm.Swarm() as flock:
            publisher, below, _, viewers = self.grow(flock, "live/silent")
            self.until_measured(flock, below, "live/silent")
            publisher.ended = True
            session = viewers[1].headers["x-headwater-session"]
            before = self.trace(session)["hops"]
            flock.run(1.5)
            after = self.trace(session)["hops"]
            self.assertGreater(after[0]["age_us"], 1000000)
            self.assertLess(abs(after[0]["lag_us"] - before[0]["lag_us"]), SOME_MS * 1000)
            self.assertEqual([hop["node"] for hop in after], [hop["node"] for hop in before])

    def test_publishers_relays_and_pulls_can_be_traced_too(self):
        origin = self.cluster.origins[0]
        with swarm.Swarm() as flock:
            _, below, above, _ = self.grow(flock, "live/all")
            self.until_measured(flock, below, "live/all")
            expected = {("origin-1", "publish"): ["origin-1"], ("origin-1", "relay"): ["origin-1"],
                        (above.id, "pull"): [above.id, "origin-1"]}
            for node in (origin, above):
                for s in node.sessions():
                    kind = "relay" if (s["protocol"], s["kind"]) == ("relay", "play") else s["kind"]
                    way = expected.pop((node.id, kind), None) if s["stream"] == "live/all" else None
                    if way:
                        self.assertEqual(nodes_of(self.trace(s["id"], node)), way, s)
            self.assertEqual(expected, {})

    def test_what_is_not_there_is_said(self):
        node = self.cluster.origins[0]
        status, _, body = harness.http_request(node.http, "/v1/trace?session=none", headers=AUTH)
        self.assertEqual((status, b"no session" in body), (404, True))
        status, _, body = harness.http_request(node.http, "/v1/trace?session=edge-9/f-1", headers=AUTH)
        self.assertEqual((status, b"another node" in body), (404, True))
        self.assertEqual(harness.http_request(node.http, "/v1/trace", headers=AUTH)[0], 400)
        for path in ("/v1/trace?session=none", "/v1/clock"):
            self.assertEqual(harness.http_request(node.http, path)[0], 401)
        clock = harness.get_json(node.http, "/v1/clock", AUTH)
        self.assertLess(abs(clock["mono_us"] - swarm.now_us()), 5000000)  # one machine


class ForwardTest(TraceTest):
    """Publishing at an edge: the stream is taken in there, and the origin asks for the edge's clock."""

    cluster_args = {"origins": 1, "edges": 2, "node_set": {"latency": "realtime"}}

    def test_way_leads_over_the_origin_to_the_edge_of_the_encoder(self):
        origin, (first, second) = self.cluster.origins[0], self.cluster.edges
        with swarm.Swarm() as flock:
            flock.publish(first.rtmp, "live/forward", small())
            until_known(flock, self.cluster, "live/forward")
            viewers = [flock.play_flv(node.http, "live/forward") for node in (second, origin, first)]
            until_playing(flock, viewers)
            self.until_measured(flock, second, "live/forward")
            self.until_measured(flock, origin, "live/forward")
            way = [second.id, origin.id, first.id]
            for i, viewer in enumerate(viewers):
                trace = self.trace(viewer.headers["x-headwater-session"])
                self.assertEqual(nodes_of(trace), way[i:])
                self.assert_sane(trace)
            self.assert_clean(*viewers)


if __name__ == "__main__":
    harness.main()
