"""Pulls and pushes that an operator tells one node of a cluster: each node knows them, one of them does the work."""

import harness
import media
import relays
import swarm
from test_cluster import until_playing


def small():
    return swarm.Clip(media.clip("small"))


class ClusterRelayTest(harness.ClusterTest):
    cluster_args = {"origins": 2, "edges": 1, "node_set": {"relay.allow_private_targets": "true",
                                                           "publisher_grace_ms": "3000",
                                                           "publish.duplicate": "takeover"}}

    def setUp(self):
        self.outside = harness.Cluster(origins=1, edges=0, schedulers=0)
        self.outside.__enter__()
        self.addCleanup(self.outside.close)
        self.foreign, = self.outside.origins

    def known_everywhere(self, kind, item_id):
        return all(relays.call(node, "GET", f"{kind}/{item_id}")[0] == 200 for node in self.cluster.nodes)

    def forget(self, kind, item_id):
        relays.call(self.cluster.origins[0], "DELETE", f"{kind}/{item_id}")

    def busy_nodes(self, kind):
        return [node.id for node in self.cluster.nodes for s in node.sessions()
                if (s["kind"], s["protocol"]) == (kind, "rtmp")]

    def test_push_runs_at_the_origin_that_has_the_stream_whoever_was_told(self):
        edge, = self.cluster.edges
        status, told = relays.call(edge, "POST", "pushes", {"id": "copy", "stream": "live/*",
                                                            "url": self.foreign.url("copy/{name}")})
        self.assertEqual(status, 200, told)
        self.addCleanup(self.forget, "pushes", "copy")
        with swarm.Swarm() as flock:
            flock.until(lambda: self.known_everywhere("pushes", "copy"), 10, "all nodes know it")
            flock.publish(edge.rtmp, "live/at-edge", small())
            flock.publish(self.cluster.origins[1].rtmp, "live/at-origin", small())
            copies = [flock.play_flv(self.foreign.http, f"copy/{name}") for name in ("at-edge", "at-origin")]
            until_playing(flock, copies)
            near = flock.play_flv(edge.http, "live/at-origin")
            until_playing(flock, [near, *copies])
            self.assert_clean(*copies)
            busy = self.busy_nodes("push")
            self.assertEqual((len(busy), edge.id in busy), (2, False), busy)
            relays.call(self.cluster.origins[0], "DELETE", "pushes/copy")
            flock.until(lambda: not self.busy_nodes("push"), 10, "it ends everywhere")

    def test_push_moves_with_the_stream_to_another_origin(self):
        first, second = self.cluster.origins
        self.assertEqual(relays.call(first, "POST", "pushes", {"id": "copy", "stream": "live/*",
                                                               "url": self.foreign.url("copy/{name}")})[0], 200)
        self.addCleanup(self.forget, "pushes", "copy")
        with swarm.Swarm() as flock:
            flock.until(lambda: self.known_everywhere("pushes", "copy"), 10, "all nodes know it")
            flock.publish(first.rtmp, "live/moves", small())
            flock.until(lambda: self.busy_nodes("push") == [first.id], 10, "the first origin sends it")
            flock.publish(second.rtmp, "live/moves", small())
            flock.until(lambda: self.busy_nodes("push") == [second.id], 15, "the second one does")
            copy = flock.play_flv(self.foreign.http, "copy/moves")
            until_playing(flock, [copy])

    def test_pull_of_mode_always_runs_at_its_node_alone(self):
        origin, other = self.cluster.origins
        item = {"stream": "live/cam", "urls": [self.foreign.url("cam/1")], "mode": "always"}
        status, body = relays.call(origin, "POST", "pulls", item)
        self.assertEqual((status, "body: node: is missing" in body["detail"]), (400, True))
        self.assertEqual(relays.call(other, "POST", "pulls", {**item, "node": origin.id})[0], 200)
        self.addCleanup(self.forget, "pulls", "live/cam")
        with swarm.Swarm() as flock:
            flock.publish(self.foreign.rtmp, "cam/1", small())
            flock.until(lambda: relays.call(origin, "GET", "pulls/live/cam")[1].get("state") == "running", 20,
                        "it runs")
            self.assertEqual(self.busy_nodes("pull"), [origin.id])
            viewer = flock.play_flv(self.cluster.edges[0].http, "live/cam")
            until_playing(flock, [viewer])  # on demand at any other node
            self.assert_clean(viewer)

    def test_on_demand_pull_runs_where_somebody_watches(self):
        edge, = self.cluster.edges
        self.assertEqual(relays.call(self.cluster.origins[0], "POST", "pulls",
                                     {"stream": "live/far", "urls": [self.foreign.url("cam/2")]})[0], 200)
        self.addCleanup(self.forget, "pulls", "live/far")
        with swarm.Swarm() as flock:
            flock.until(lambda: self.known_everywhere("pulls", "live/far"), 10, "all nodes know it")
            flock.publish(self.foreign.rtmp, "cam/2", small())
            viewer = flock.play_flv(edge.http, "live/far")
            until_playing(flock, [viewer])
            self.assertEqual(self.busy_nodes("pull"), [edge.id])


if __name__ == "__main__":
    harness.main()
