"""A node that pulls over RTMP from servers that are not of its cluster: one that leaves and says where to go on, and
one that knows nothing of Enhanced RTMP."""

import signal

import harness
import media
import relays
import swarm
from test_cluster import until_playing


def small():
    return swarm.Clip(media.clip("small"))


def make_puller(test, index, source, **more):
    """A node of no cluster, which pulls live/a from there."""
    node = test.cluster.make_node("edge", index, cluster__schedulers="", cluster__token_file="",
                                  pull__sources=[f"live/a={source}"], **more)
    return node.learn()


def viewers_of(flock, node):
    return [flock.play_flv(node.http, "live/a"), flock.play_rtmp(node.rtmp, "live/a")]


class LeavingTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 2, "node_set": {"drain_timeout_s": "30"}}

    def pulls(self, node):
        return [s for s in node.sessions() if (s["protocol"], s["kind"], s["stream"]) == ("rtmp", "play", "live/a")]

    def test_pull_goes_where_the_server_says_and_viewers_get_each_frame_once(self):
        leaving, staying = self.cluster.edges
        puller = make_puller(self, 7, leaving.url("live/a"))
        with swarm.Swarm() as flock:
            flock.publish(self.cluster.origins[0].rtmp, "live/a", small())
            viewers = viewers_of(flock, puller)
            plain = flock.play_rtmp(leaving.rtmp, "live/a")
            until_playing(flock, [*viewers, plain])
            self.assertEqual((len(self.pulls(leaving)), len(self.pulls(staying))), (2, 0))
            leaving.signal(signal.SIGTERM)
            flock.until(lambda: self.pulls(staying), 10, "the pull is at the other edge")
            flock.until(lambda: len(self.pulls(leaving)) == 1, 10, "and not at the one that leaves")
            self.assertEqual(leaving.metrics().total("headwater_play_reconnect_requests_total"), 1)
            self.assertNotIn("NetConnection.Connect.ReconnectRequest", plain.codes, "it did not announce that it can")
            plain.close()
            flock.until(lambda: not leaving.is_alive(), 10, "nobody holds it any more")
            leaving.expect_death = True
            self.assertEqual(leaving.popen.returncode, 0)
            until_playing(flock, viewers)
            self.assert_clean(*viewers)
            self.assertEqual(len(puller.log_lines('msg="asked to reconnect"')), 1, puller.tail())
            self.assertIn("This server is about to leave.", puller.log())
            metrics = puller.metrics()
            self.assertEqual(metrics.total("headwater_relay_reconnect_requests_total", result="followed"), 1)
            self.assertEqual(metrics.total("headwater_relay_pulls_total", result="switched"), 1)
            self.assertEqual(metrics.total("headwater_relay_pulls_total", result="lost"), 0)


class ClassicTest(harness.ClusterTest):
    """nginx with its RTMP module, which is older than Enhanced RTMP."""

    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0}

    def test_server_that_knows_no_enhanced_rtmp_is_pulled_from(self):
        address = relays.start_nginx(self, self.cluster.folder)
        puller = make_puller(self, 8, "rtmp://%s:%d/live/a" % address)
        with swarm.Swarm() as flock:
            relays.until_accepting(flock, address)
            publisher = flock.publish(address, "live/a", small())
            flock.until(lambda: publisher.is_running, 10, "nginx takes the stream")
            viewers = viewers_of(flock, puller)
            until_playing(flock, viewers)
            self.assert_clean(*viewers)
            self.assertEqual(puller.metrics().total("headwater_relay_pulls_total", result="lost"), 0)


if __name__ == "__main__":
    harness.main()
