"""All nodes are restarted, one after the other, while an encoder publishes at an edge: viewers of the
edges that stay see every frame of it, at its time."""

import concurrent.futures
import signal

import follow
import harness
import media
import swarm
from flv import AUDIO, VIDEO
from test_drain import ASKED, wait_left

STREAM = "live/rolling"
SECOND = 1_000_000  # the counters of the encoder's second connection


class EncoderAtEdge(harness.ClusterTest):
    def publish(self, flock, node, **kwargs):
        """An encoder that can be asked to go on over a new connection (Enhanced RTMP v2)."""
        publisher = flock.publish(node.rtmp, STREAM, swarm.Clip(media.clip("small")), **kwargs)
        publisher.session.connect_more = {"capsEx": 1.0}
        return publisher

    def move_encoder(self, flock, first, leaving, to):
        """The edge of the encoder leaves: it asks it to go on elsewhere."""
        leaving.signal(signal.SIGTERM)
        flock.until(lambda: ASKED in first.codes, 10, "the encoder is asked to reconnect")
        second = self.publish(flock, to, start_ts=first.last_ts, first_counter=SECOND)
        flock.until(lambda: second.codes or second.closed, 15, "answered")
        self.assertTrue(second.is_running, second.session.statuses)
        first.ended = True
        return second


class RollingRestartTest(EncoderAtEdge):
    # Two GOPs: whoever moves in the middle of one finds all of it at the new place, also when the
    # next one has begun meanwhile.
    cluster_args = {"origins": 2, "edges": 3, "node_set": {"drain_timeout_s": "60", "gop_cache.count": "2"}}

    def owner(self):
        streams = harness.items(self.cluster.scheduler.http, "/api/v1/streams")
        return {s["name"]: s["owner"] for s in streams}.get(STREAM)

    def meanwhile(self, flock, what, timeout_s, *call):
        """What call gives; media goes on while it takes its time."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            future = pool.submit(*call)
            flock.until(future.done, timeout_s, what)
            return future.result()

    def restart(self, flock, node):
        wait_left(flock, node, 30)
        fresh = self.meanwhile(flock, f"{node.id} is back", 20, self.cluster.restart_node, node)
        self.meanwhile(flock, f"schedulers know {node.id}", 20, self.cluster.wait_settled)
        self.restarted.append(node.id)
        return fresh

    def assert_exact(self, viewers, publisher):
        """Nothing of this publisher lost, doubled or late, and time as it was sent."""
        for viewer in viewers:
            where = f"{type(viewer).__name__} at {viewer.address}"
            self.assertFalse(viewer.closed, f"{where}: {viewer.error}")
            self.assertEqual(viewer.log.problems, [], where)
            self.assertEqual(len(viewer.log.offsets(publisher)), 1, f"{where}: time jumped")
            for kind in (AUDIO, VIDEO):
                seen = [counter for k, counter, _, _ in viewer.log.frames
                        if k == kind and (k, counter) in publisher.sent_ts]
                self.assertEqual(seen, list(range(seen[0], seen[0] + len(seen))), where)

    def step(self, flock, node, viewers, publisher):
        """Restarts a node that the encoder is not connected to."""
        follow.forget_gaps(viewers)
        node.signal(signal.SIGTERM)
        self.restart(flock, node)
        flock.until_playing(viewers, what=f"{node.id} was restarted")
        print(f"restarted={node.id} gap_ms={follow.longest_gap_s(viewers) * 1000:.0f}", flush=True)
        self.assertFalse(publisher.closed, publisher.error)
        self.assert_exact(viewers, publisher)

    def test_an_encoder_at_an_edge_and_its_viewers_notice_nothing(self):
        self.restarted = []
        edge1, edge2, edge3 = self.cluster.edges
        with follow.Swarm() as flock:
            first = self.publish(flock, edge1)
            flock.until(lambda: first.is_running and self.owner(), 15)
            at2, at3 = flock.play_both(edge2, STREAM), flock.play_both(edge3, STREAM)
            flock.until_playing([*at2, *at3])
            was_at = set()
            for origin in list(self.cluster.origins):
                was_at.add(self.owner())
                self.step(flock, origin, [*at2, *at3], first)
            self.assertTrue(was_at - {self.owner()}, "the stream had to move")
            for viewer in at2:
                viewer.close()
            self.step(flock, edge2, at3, first)
            at2 = flock.play_both(self.cluster.edges[1], STREAM)
            flock.until_playing(at2)

            swarm.allow_jumps([*at2, *at3])  # to the counters of the second connection
            second = self.move_encoder(flock, first, edge1, self.cluster.edges[1])
            self.restart(flock, edge1)
            flock.until_playing([*at2, *at3], what="the second connection is seen")
            for publisher in (first, second):
                self.assert_exact([*at2, *at3], publisher)
            for viewer in [*at2, *at3]:
                self.assertTrue(viewer.log.first_from(SECOND)[3], "it begins with a key frame")

            for viewer in at3:
                viewer.close()
            self.step(flock, edge3, at2, second)
        self.assertEqual(sorted(self.restarted), sorted(node.id for node in self.cluster.nodes))


class OneOriginTest(EncoderAtEdge):
    """The origin has the stream already when the encoder comes to it by the other edge."""

    cluster_args = {"origins": 1, "edges": 2, "node_set": {"drain_timeout_s": "60"}}

    def test_an_encoder_goes_to_another_edge_and_viewers_notice_nothing(self):
        leaving, staying = self.cluster.edges
        with follow.Swarm() as flock:
            first = self.publish(flock, leaving)
            flock.until(lambda: first.is_running, 15)
            viewers = flock.play_both(staying, STREAM) + flock.play_both(self.cluster.origins[0], STREAM)
            flock.until_playing(viewers)
            swarm.allow_jumps(viewers)  # to the counters of the second connection
            second = self.move_encoder(flock, first, leaving, staying)
            wait_left(flock, leaving)
            flock.until_playing(viewers, what="the second connection is seen")
            for viewer in viewers:
                self.assertEqual(viewer.log.problems, [])
                self.assertEqual(len(viewer.log.offsets(second)), 1)
                self.assertTrue(viewer.log.first_from(SECOND)[3], "it begins with a key frame")


if __name__ == "__main__":
    harness.main()
