"""Relays: redirects of an origin, loops, the node token, one pull however many viewers, and trees whose
parents die, freeze and leave: viewers below get each frame once."""

import signal
import time

import harness
import relay
import swarm
from test_cluster import play_both, small, until_playing


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
            relays = [s for s in origin.sessions() if (s["protocol"], s["stream"]) == ("relay", "live/one")]
            self.assertEqual(len(relays), 1)
            self.assertEqual(relays[0]["kind"], "play")

    def test_herd_that_waits_for_a_publisher_makes_one_pull_and_few_questions(self):
        """Nobody publishes yet: questions are asked with back-off, whatever the number of those who wait."""
        origin, edge = self.cluster.origins[0], self.cluster.edges[0]

        def counted(name, **labels):
            return edge.metrics().total(name, **labels)
        asked, pulled = (counted("headwater_cluster_asks_total", kind="route"),
                         counted("headwater_relay_pulls_total", result="connected"))
        with swarm.Swarm() as flock:
            viewers = [flock.play_flv(edge.http, "live/cold") for _ in range(100)]
            viewers += [flock.play_rtmp(edge.rtmp, "live/cold") for _ in range(100)]
            flock.run(1)
            self.assertLess(counted("headwater_cluster_asks_total", kind="route") - asked, 6)
            flock.publish(origin.rtmp, "live/cold", small())
            until_playing(flock, viewers)
            self.assert_clean(*viewers)
        self.assertEqual(counted("headwater_relay_pulls_total", result="connected") - pulled, 1)
        self.assertLess(counted("headwater_cluster_asks_total", kind="route") - asked, 8)


class TreeTest(harness.ClusterTest):
    """An origin with room for two children, and more edges than that: one edge pulls from another."""

    cluster_args = {"origins": 1, "edges": 4, "scheduler_set": {"max_children": "2"},
                    "node_set": {"gop_cache.count": "2", "drain_timeout_s": "8"}}

    def grow(self, flock, stream, **publish):
        """Plays the stream at every edge, one after the other; returns viewers by edge."""
        self.cluster.wait_settled()
        publisher = flock.publish(self.cluster.origins[0].rtmp, stream, small(), **publish)
        until_known(flock, self.cluster, stream)
        viewers = {}
        for edge in self.cluster.edges:
            viewers[edge] = play_both(flock, edge, stream)
            until_playing(flock, viewers[edge], 5, what=f"{edge.id} plays")
            flock.until(lambda: edge.id in self.carriers(stream), 10, f"{edge.id} is known as a carrier")
        return publisher, viewers

    def carriers(self, stream):
        answer = harness.get_json(self.cluster.scheduler.http, f"/api/v1/streams/{stream}")
        return {c["node"] for c in answer["carriers"]}

    def family(self, stream, *without):
        """(a parent that is an edge, the edges below it) among those that were not named."""
        parent_of = {edge: relay.upstream_of(edge, stream) for edge in self.cluster.edges if edge not in without}
        for parent in parent_of:
            children = [edge for edge, upstream in parent_of.items() if upstream == parent.id]
            if children:
                return parent, children
        self.fail(f"nobody pulls from an edge: { {e.id: up for e, up in parent_of.items()} }")

    @staticmethod
    def pulls(edge, result):
        return edge.metrics().total("headwater_relay_pulls_total", result=result)

    def below(self, viewers, edges):
        return [viewer for edge in edges for viewer in viewers[edge]]

    def test_nobody_pulls_from_more_than_three_nodes_in_a_row(self):
        with swarm.Swarm() as flock:
            self.grow(flock, "live/deep")
            origin = self.cluster.origins[0]
            ups = {edge.id: relay.upstream_of(edge, "live/deep") for edge in self.cluster.edges}
            self.assertLessEqual(sum(up == origin.id for up in ups.values()), 2, ups)
            for edge in ups:
                depth, at = 0, edge
                while at != origin.id:
                    at, depth = ups[at], depth + 1
                    self.assertLessEqual(depth, 3, ups)

    def test_parent_is_killed_and_its_children_lose_and_double_nothing(self):
        with swarm.Swarm() as flock:
            _, viewers = self.grow(flock, "live/killed")
            parent, children = self.family("live/killed")
            watched = self.below(viewers, children)
            pauses = relay.Pauses(*watched)
            parent.kill()
            try:
                flock.run(2)
                until_playing(flock, watched, what="the children found another parent")
                self.assert_clean(*watched)
                self.assertLess(pauses.worst_s, 1, "found at once")
            finally:
                self.cluster.restart_node(parent)
                self.cluster.wait_settled()

    def test_parent_freezes_and_its_children_play_on_in_order(self):
        """What was missed while nothing was heard may be lost, if no node has it any more."""
        with swarm.Swarm() as flock:
            _, viewers = self.grow(flock, "live/frozen")
            parent, children = self.family("live/frozen")
            watched = self.below(viewers, children)
            swarm.allow_jumps(watched)
            parent.signal(signal.SIGSTOP)
            try:
                flock.run(4)
                until_playing(flock, watched, what="the children found another parent")
                self.assert_clean(*watched)
            finally:
                parent.signal(signal.SIGCONT)
            flock.run(1)
            self.assert_clean(*watched)

    def test_parent_leaves_and_its_children_notice_nothing(self):
        with swarm.Swarm() as flock:
            _, viewers = self.grow(flock, "live/leaving")
            parent, children = self.family("live/leaving")
            watched = self.below(viewers, children)
            lost = {child: self.pulls(child, "lost") for child in children}
            pauses = relay.Pauses(*watched)
            parent.signal(signal.SIGTERM)
            try:
                def moved():
                    return all(relay.upstream_of(c, "live/leaving") not in ("", parent.id) for c in children)
                flock.until(moved, 6, "the children went before their parent")
                self.assertTrue(parent.is_alive(), "it waits for its viewers")
                for viewer in viewers[parent]:
                    viewer.close()
                flock.until(lambda: not parent.is_alive(), 10, "the parent ends")
                self.assertEqual(parent.popen.returncode, 0)
                until_playing(flock, watched)
                self.assert_clean(*watched)
                self.assertLess(pauses.worst_s, 0.5, "nobody saw a pause")
                self.assertEqual({child: self.pulls(child, "lost") for child in children}, lost)
            finally:
                parent.expect_death = True
                self.cluster.restart_node(parent)
                self.cluster.wait_settled()

    def test_silent_encoder_is_no_dead_parent(self):
        with swarm.Swarm() as flock:
            publisher, viewers = self.grow(flock, "live/silent")
            before = {edge: self.pulls(edge, "connected") for edge in self.cluster.edges}
            publisher.on_due = lambda: time.monotonic() + 0.05
            flock.run(4)
            del publisher.on_due
            watched = self.below(viewers, self.cluster.edges)
            until_playing(flock, watched)
            self.assert_clean(*watched)
            self.assertEqual({edge: self.pulls(edge, "connected") for edge in self.cluster.edges}, before)


if __name__ == "__main__":
    harness.main()
