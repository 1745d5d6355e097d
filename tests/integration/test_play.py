"""Publish to the origin, play everywhere: the relay is bit-exact for four kinds of media."""

import harness
import media
import relay
import swarm

SECONDS = 6


class RelayTest(harness.ClusterTest):
    # A short grace lets the players end by themselves soon after the publisher.
    cluster_args = {"node_set": {"publisher_grace_ms": "500"}}

    def relay(self, kind):
        for where, verdict in relay.run_relay(self.cluster, kind, SECONDS).items():
            with self.subTest(where=where):
                self.assertIsInstance(verdict, dict, verdict)

    def test_relay_is_bit_exact_for_h264_with_b_frames_and_aac(self):
        self.relay("h264_aac")

    def test_relay_is_bit_exact_for_h264_and_mp3(self):
        self.relay("h264_mp3")

    def test_relay_is_bit_exact_for_audio_alone(self):
        self.relay("audio_only")

    def test_relay_is_bit_exact_for_video_alone(self):
        self.relay("video_only")


class ManyViewersTest(harness.ClusterTest):
    """One publisher, viewers of both protocols at every node: nothing is lost, all start at a key
    frame, and a viewer that leaves takes nobody along."""

    def test_viewers_of_every_node_lose_nothing(self):
        clip = swarm.Clip(media.clip("small"))
        with swarm.Swarm() as flock:
            publisher = flock.publish(self.cluster.origins[0].rtmp, "live/many", clip)
            flock.until(lambda: publisher.is_running, 5, "publish accepted")
            viewers = []
            for node in self.cluster.nodes:
                for _ in range(5):
                    viewers.append(flock.play_rtmp(node.rtmp, "live/many"))
                    viewers.append(flock.play_flv(node.http, "live/many"))
            flock.until(lambda: all(v.log.n_video > 50 for v in viewers), 20, "all viewers play")
            leaving, staying = viewers[::3], [v for i, v in enumerate(viewers) if i % 3]
            for viewer in leaving:
                viewer.close()
            seen = {v: v.log.n_video for v in staying}
            flock.until(lambda: all(v.log.n_video > seen[v] + 50 for v in staying), 10, "the rest plays on")
            self.assert_clean(*staying)
            for viewer in staying:
                self.assertTrue(viewer.log.first_is_key, "starts at a key frame")
                self.assertGreaterEqual(viewer.log.n_headers, 2, "sequence headers of both tracks")
                self.assertGreater(viewer.log.n_audio, 20)

    def test_flv_header_says_which_tracks_there_are(self):
        wanted = {"audio_only": (True, False), "video_only": (False, True), "h264_aac": (True, True)}
        with swarm.Swarm() as flock:
            for kind, tracks in wanted.items():
                stream = f"live/header_{kind}"
                flock.publish(self.cluster.origins[0].rtmp, stream, swarm.Clip(media.clip(kind)))
                viewers = [flock.play_flv(node.http, stream) for node in self.cluster.nodes]
                flock.until(lambda: all(v.log.n_frames > 5 for v in viewers), 15, f"{kind} plays")
                for viewer in viewers:
                    self.assertEqual((viewer.flv.has_audio, viewer.flv.has_video), tracks, kind)

    def test_entry_point_redirects_to_an_edge_that_plays(self):
        with swarm.Swarm() as flock:
            flock.publish(self.cluster.origins[0].rtmp, "live/entry", swarm.Clip(media.clip("small")))
            flock.run(0.5)
            self.cluster.wait_route("live/entry")
            status, headers, _ = harness.http_request(self.cluster.scheduler.http, "/live/entry.flv?a=1&b=2")
            self.assertEqual(status, 302)
            self.assertIn("no-store", headers["cache-control"])
            self.assertIn("access-control-allow-origin", headers)
            edges = ["http://%s:%d/live/entry.flv?a=1&b=2" % edge.http for edge in self.cluster.edges]
            self.assertIn(headers["location"], edges)
            edge = self.cluster.edges[edges.index(headers["location"])]
            viewer = flock.play_flv(edge.http, "live/entry")
            flock.until(lambda: viewer.log.n_video > 25, 10, "plays where the redirect pointed")
            self.assert_clean(viewer)


if __name__ == "__main__":
    harness.main()
