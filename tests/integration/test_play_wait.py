"""Play before publish: the viewer is parked, then plays, or gets its answer when the wait is over."""

import time

import harness
import media
import swarm


class ParkingTest(harness.ClusterTest):
    cluster_args = {"node_set": {"play_wait_ms": "8000"}}

    def test_parked_viewers_play_once_there_is_a_publisher(self):
        with swarm.Swarm() as flock:
            viewers = [play for node in self.cluster.nodes
                       for play in (flock.play_rtmp(node.rtmp, "live/later"), flock.play_flv(node.http, "live/later"))]
            flock.run(1.5)
            for viewer in viewers:
                self.assertFalse(viewer.closed)
                self.assertEqual(viewer.log.n_frames, 0)
            self.assertTrue(all(v.status is None for v in viewers[1::2]), "the response header is withheld")
            flock.publish(self.cluster.origins[0].rtmp, "live/later", swarm.Clip(media.clip("small")))
            flock.until(lambda: all(v.log.n_frames > 30 for v in viewers), 15, "all parked viewers play")
            self.assert_clean(*viewers)

    def test_unknown_stream_is_answered_after_the_wait(self):
        edge = self.cluster.edges[0]
        with swarm.Swarm() as flock:
            begin = time.monotonic()
            rtmp, http = flock.play_rtmp(edge.rtmp, "live/never"), flock.play_flv(edge.http, "live/never")
            flock.until(lambda: http.status and rtmp.codes, 15, "both are answered")
            waited_s = time.monotonic() - begin
            self.assertEqual(http.status, 404)
            self.assertIn("NetStream.Play.StreamNotFound", rtmp.codes)
            self.assertGreater(waited_s, 7)
            self.assertLess(waited_s, 11)


class ParkedBoundTest(harness.ClusterTest):
    # The limit is for each loop.
    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0,
                    "node_set": {"play_wait_ms": "20000", "limits.parked_viewers": "4",
                                 "loops": "1"}}

    def test_the_number_of_parked_viewers_is_bounded(self):
        node = self.cluster.origins[0]
        with swarm.Swarm() as flock:
            parked = [flock.play_flv(node.http, f"live/none{i}") for i in range(4)]
            flock.run(0.5)
            over = [flock.play_flv(node.http, "live/none9"), flock.play_rtmp(node.rtmp, "live/none9")]
            flock.until(lambda: over[0].status and (over[1].codes or over[1].closed), 5, "refused at once")
            self.assertIn(over[0].status, (404, 503))
            self.assertFalse(any(v.closed or v.status for v in parked))


if __name__ == "__main__":
    harness.main()
