"""Relays: redirects of an origin, loops, the node token, and back-source as any FLV tool sees it."""

import harness
import swarm
from test_cluster import small, until_playing


def get_flv(node, stream, headers):
    return harness.http_request(node.http, f"/{stream}.flv", headers=headers)


def until_known(flock, cluster, stream):
    """Until the scheduler knows an owner of the stream; the publisher is served meanwhile."""
    def known():
        streams = harness.items(cluster.scheduler.http, "/api/v1/streams")
        return any(s["name"] == stream for s in streams)

    flock.until(known, 10, f"the scheduler knows {stream}")


class RedirectTest(harness.ClusterTest):
    cluster_args = {"origins": 2, "edges": 1, "origin_set": {"cluster.redirect": "on"}}

    def test_origin_sends_viewers_of_other_streams_to_an_edge(self):
        first, second = self.cluster.origins
        edge = self.cluster.edges[0]
        with swarm.Swarm() as flock:
            flock.publish(first.rtmp, "live/here", small())
            until_known(flock, self.cluster, "live/here")
            status, headers, _ = harness.http_request(second.http, "/live/here.flv?token=a%20b")
            self.assertEqual(status, 302)
            self.assertEqual(headers["location"],
                             f"http://127.0.0.1:{edge.http[1]}/live/here.flv?token=a%20b")
            self.assertEqual(headers["cache-control"], "no-store")
            self.assertEqual(headers["access-control-allow-origin"], "*")
            at_owner = flock.play_flv(first.http, "live/here")
            until_playing(flock, [at_owner], what="the owner serves its own stream itself")


class LoopTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 1, "node_set": {"publisher_grace_ms": "3000"}}

    def setUp(self):
        self.origin, self.edge = self.cluster.origins[0], self.cluster.edges[0]
        self.auth = {"Authorization": f"Bearer {harness.TOKEN}"}

    def test_hop_list_that_names_the_node_is_refused(self):
        status, _, body = get_flv(self.origin, "live/none",
                                  {**self.auth, "X-Headwater-Hops": f"far, {self.origin.id}"})
        self.assertEqual(status, 508, body)

    def test_hop_list_that_is_too_long_is_refused(self):
        hops = ",".join(f"n{i}" for i in range(9))
        self.assertEqual(get_flv(self.origin, "live/none", {**self.auth, "X-Headwater-Hops": hops})[0], 508)

    def test_relay_without_the_token_is_refused(self):
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            status, _, _ = get_flv(self.origin, "live/none", {**headers, "X-Headwater-Hops": "x"})
            self.assertEqual(status, 401)

    def test_nothing_circulates_when_the_publisher_leaves(self):
        """The origin then looks for a source, and the edge is still pulling from it."""
        with swarm.Swarm() as flock:
            publisher = flock.publish(self.origin.rtmp, "live/left", small())
            until_known(flock, self.cluster, "live/left")
            viewers = [flock.play_flv(self.origin.http, "live/left"),
                       flock.play_flv(self.edge.http, "live/left")]
            until_playing(flock, viewers)
            publisher.stop()
            flock.run(0.5)
            seen = [v.log.n_frames for v in viewers]
            flock.run(1.5)
            self.assertEqual([v.log.n_frames for v in viewers], seen, "no frame without a publisher")
            pulls = [s for s in self.origin.sessions() if s["kind"] == "pull"]
            self.assertEqual(pulls, [], "the origin pulls from nobody")


class BackSourceTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 1}

    def test_one_pull_whatever_the_number_of_viewers(self):
        origin, edge = self.cluster.origins[0], self.cluster.edges[0]
        with swarm.Swarm() as flock:
            flock.publish(origin.rtmp, "live/one", small())
            until_known(flock, self.cluster, "live/one")
            viewers = [flock.play_flv(edge.http, "live/one") for _ in range(20)]
            viewers += [flock.play_rtmp(edge.rtmp, "live/one") for _ in range(20)]
            until_playing(flock, viewers)
            relays = [s for s in origin.sessions() if s["protocol"] == "relay"]
            self.assertEqual(len(relays), 1)
            self.assertEqual(relays[0]["kind"], "play")


if __name__ == "__main__":
    harness.main()
