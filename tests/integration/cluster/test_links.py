"""Bad links between an origin and an edge: lossy, thin, slow. Viewers stay, time never goes back."""

import contextlib
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import harness
import media
import swarm
from cluster import encoders, live, net, site

PLAY_FRAMES = 200    # some four seconds
JOIN_S, PLAY_S = 20, 40
LOSS_PERCENT = 3
DELAY_MS = 100       # each way
ENOUGH_KBIT, TOO_THIN_KBIT = 600, 1500  # for a stream of 110 kbit/s, and of 6 Mbit/s


class LinkTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.net = net.open_net()
        if not cls.net.has_cables:
            raise unittest.SkipTest("bad links need network namespaces")

    @classmethod
    def tearDownClass(cls):
        cls.net.close()

    @contextlib.contextmanager
    def play(self, kind="small", **site_args):
        """A stream from an origin, and a viewer of each protocol at an edge that plays it."""
        with site.Site(self.net, origins=1, edges=1, schedulers=1, **site_args) as self.site, live.Live() as flock:
            encoder = flock.do(encoders.Encoder, flock.flock, "live/x", [self.site.origins[0].rtmp],
                               swarm.Clip(media.clip(kind)))
            viewers = [live.watch(flock, self.site.edges[0], "live/x", kind) for kind in ("rtmp", "http")]
            self.wait_more(viewers, 25, JOIN_S)
            yield viewers
            flock.do(encoder.stop)

    def wait_more(self, viewers, n_frames, timeout_s):
        seen = {viewer: viewer.log.n_frames for viewer in viewers}

        def all_have():
            for viewer in viewers:
                self.assertFalse(viewer.closed, f"{viewer.name}: {viewer.error}")
            return all(viewer.log.n_frames - n >= n_frames for viewer, n in seen.items())
        harness.wait_until(all_have, timeout_s, lambda: "frames come (%s)" % {
            viewer.name: viewer.log.n_frames - n for viewer, n in seen.items()})

    def assert_whole(self, viewers):
        for viewer in viewers:
            self.assertEqual((viewer.log.problems, viewer.log.n_jumped), ([], 0), viewer.name)

    def test_lossy_link_loses_no_frame(self):
        with self.play() as viewers:
            for node in self.site.nodes:
                self.site.host_of(node).lose(LOSS_PERCENT)
            self.wait_more(viewers, PLAY_FRAMES, PLAY_S)
            self.assert_whole(viewers)

    def test_thin_link_that_is_wide_enough_loses_no_frame(self):
        with self.play() as viewers:
            self.site.host_of(self.site.origins[0]).thin(ENOUGH_KBIT)
            self.wait_more(viewers, PLAY_FRAMES, PLAY_S)
            self.assert_whole(viewers)
            self.site.host_of(self.site.origins[0]).thin(0)

    def test_link_thinner_than_the_stream_drops_whole_gops_and_keeps_viewers(self):
        with self.play("fat", node_set={"max_lag_ms": 1000}) as viewers:
            for viewer in viewers:
                viewer.log.max_step_ms = PLAY_S * 1000  # GOPs that are left out leave a hole
            edge = self.site.host_of(self.site.edges[0])
            edge.thin(TOO_THIN_KBIT)
            harness.wait_until(lambda: all(viewer.log.n_jumped for viewer in viewers), PLAY_S, "frames are left out")
            edge.thin(0)
            self.wait_more(viewers, PLAY_FRAMES, PLAY_S)
            for viewer in viewers:
                self.assertEqual(viewer.log.problems, [], viewer.name)

    def test_slow_link_loses_no_frame(self):
        host = self.net.host("origin-1")
        if host.slow(DELAY_MS):
            origin_set, proxy = {}, None
        else:
            print("this kernel has no netem: the delay is made by delay_proxy.py", flush=True)
            origin_set, proxy = self.start_proxy(host)
        try:
            with self.play(origin_set=origin_set) as viewers:
                self.wait_more(viewers, PLAY_FRAMES, PLAY_S)
                self.assert_whole(viewers)
        finally:
            if proxy:
                proxy.kill()

    def start_proxy(self, host):
        """In front of the origin's internal HTTP. Returns the keys that say so, and the process."""
        with host.inside():
            port, proxy_port = harness.free_port(), harness.free_port()
            argv = [sys.executable, "-B", os.path.join(os.path.dirname(net.__file__), "delay_proxy.py"),
                    f"{host.ip}:{proxy_port}", f"{host.ip}:{port}", str(DELAY_MS)]
            folder = self.enterContext(harness.tempfile.TemporaryDirectory(prefix="headwater-test-"))
            proxy = harness.Process("delay-proxy", argv, folder)
        proxy.wait_log("ready")
        return {"http.listen": f"{host.ip}:{port}",
                "cluster.advertise.internal.http": f"http://{host.ip}:{proxy_port}"}, proxy


if __name__ == "__main__":
    harness.main()
