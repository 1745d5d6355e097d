"""An encoder that dies and returns within the grace: viewers stay, time goes on, never back."""

import time

import harness
import media
import swarm


class RestartTest(harness.ClusterTest):
    cluster_args = {"node_set": {"publisher_grace_ms": "10000"}}

    def viewers(self, flock, stream):
        return [play for node in self.cluster.nodes
                for play in (flock.play_rtmp(node.rtmp, stream), flock.play_flv(node.http, stream))]

    def assert_goes_on(self, flock, viewers, what):
        seen = {v: (v.log.n_frames, v.log.last_ts) for v in viewers}
        flock.until(lambda: all(v.closed or v.log.n_frames > seen[v][0] + 60 for v in viewers), 20, what)
        for viewer in viewers:
            self.assertFalse(viewer.closed, f"{what}: {viewer.address} closed")
            self.assertEqual(viewer.log.problems, [], what)
            self.assertGreater(viewer.log.last_ts, seen[viewer][1], what)

    def test_ffmpeg_killed_and_started_again(self):
        clip, url = media.clip("h264_aac"), self.cluster.origins[0].url("live/killed")
        publisher = media.publish(clip, url, self.cluster.folder, loop=True)
        with swarm.Swarm() as flock:
            try:
                viewers = self.viewers(flock, "live/killed")
                flock.until(lambda: all(v.log.n_frames > 60 for v in viewers), 20, "all play")
                publisher.kill()
                flock.run(2)
                publisher = media.publish(clip, url, self.cluster.folder, loop=True)
                self.assert_goes_on(flock, viewers, "after the restart")
            finally:
                publisher.kill()

    def test_three_restarts_with_other_codecs_and_lower_time_stamps(self):
        address = self.cluster.origins[0].rtmp
        with swarm.Swarm() as flock:
            viewers, start_ts = None, 5_000_000
            for kind in ("small", "h264_mp3", "h264_aac", "small"):
                publisher = flock.publish(address, "live/changing", swarm.Clip(media.clip(kind)),
                                          start_ts=start_ts)
                flock.until(lambda: publisher.is_running, 10, f"publish of {kind} accepted")
                if not viewers:
                    viewers = self.viewers(flock, "live/changing")
                    flock.until(lambda: all(v.log.n_frames > 60 for v in viewers), 20, "all play")
                for viewer in viewers:  # each publisher numbers its frames from 0
                    viewer.log.counter_of.clear()
                self.assert_goes_on(flock, viewers, f"with {kind}")
                publisher.close()
                flock.run(0.5)
                start_ts //= 100

    def test_stream_ends_after_the_grace(self):
        grace_s, edge = 10, self.cluster.edges[0]
        with swarm.Swarm() as flock:
            publisher = flock.publish(self.cluster.origins[0].rtmp, "live/ends", swarm.Clip(media.clip("small")))
            viewers = [flock.play_rtmp(edge.rtmp, "live/ends"), flock.play_flv(edge.http, "live/ends")]
            flock.until(lambda: all(v.log.n_frames > 30 for v in viewers), 15, "both play")
            publisher.close()
            gone_at = time.monotonic()
            # RTMP is told with UnpublishNotify and may stay; HTTP has only its end to tell.
            flock.until(lambda: viewers[1].closed and
                        (viewers[0].closed or "NetStream.Play.UnpublishNotify" in viewers[0].codes),
                        grace_s + 10, "the end reaches both")
            self.assertGreater(time.monotonic() - gone_at, grace_s - 1, "not before the grace is over")


if __name__ == "__main__":
    harness.main()
