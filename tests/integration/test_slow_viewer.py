"""Viewers that read too slowly: jump, then disconnect; nobody else notices."""

import harness
import media
import swarm


class SlowViewerTest(harness.ClusterTest):
    cluster_args = {"edges": 0, "schedulers": 0,
                    "node_set": {"max_lag_ms": "1000", "stall_timeout_ms": "6000"}}

    def setUp(self):
        self.node = self.cluster.origins[0]
        self.flock = swarm.Swarm()
        self.addCleanup(self.flock.__exit__)
        stream = self._testMethodName[:60]
        self.stream = f"live/{stream}"
        publisher = self.flock.publish(self.node.rtmp, self.stream, swarm.Clip(media.clip("fat")))
        self.flock.until(lambda: publisher.is_running, 5)
        self.good = [self.flock.play_rtmp(self.node.rtmp, self.stream),
                     self.flock.play_flv(self.node.http, self.stream)]
        self.flock.rcvbuf_bytes = 16384
        self.slow = [self.flock.play_rtmp(self.node.rtmp, self.stream),
                     self.flock.play_flv(self.node.http, self.stream)]
        swarm.allow_jumps(self.slow)
        self.flock.until(lambda: all(v.log.n_video > 10 for v in self.good + self.slow), 15, "all play")

    def counted(self, action):
        return self.node.metrics().total("headwater_viewers_slow_total", action=action)

    def test_viewers_that_read_nothing_are_closed(self):
        before = self.counted("close")
        for viewer in self.slow:
            viewer.pause()
        harness.wait_until(self.pump_until(lambda: self.counted("close") >= before + 2), 30, "both are closed")
        self.assert_clean(*self.good)

    def test_viewers_that_return_jump_to_a_newer_key_frame(self):
        before = self.counted("jump")
        for viewer in self.slow:
            viewer.pause()
        # The kernel takes megabytes first; then the lag grows. Over max_lag_ms, under stall_timeout_ms.
        ports = {f"127.0.0.1:{viewer.local_port}" for viewer in self.slow}
        harness.wait_until(self.pump_until(lambda: all(
            session["lag_ms"] > 2500 for session in self.node.sessions() if session["peer"] in ports)), 20,
            "both lag")
        for viewer in self.slow:
            viewer.pause(False)
        # First comes what the kernel still held, then the jump.
        self.flock.until(lambda: all(v.log.n_jumped for v in self.slow), 20, "both leave frames out")
        seen = [v.log.n_video for v in self.slow]
        self.flock.until(lambda: all(v.log.n_video > n + 50 for v, n in zip(self.slow, seen)), 20,
                         "both play again")
        for viewer in self.slow:
            self.assertFalse(viewer.closed)
            self.assertEqual(viewer.log.problems, [])
        self.assertGreaterEqual(self.counted("jump"), before + 2)
        self.assert_clean(*self.good)

    def pump_until(self, condition):
        """A condition that also lets the media flow while it is polled."""
        def look():
            self.flock.run(0.1)
            return condition()
        return look


if __name__ == "__main__":
    harness.main()
