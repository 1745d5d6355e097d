"""Chromium over TLS: low-latency HLS over HTTP/2 by hls.js, FLV and TS over WSS by mpegts.js, for ten seconds. The
certificate is of an authority of our own, which the browser is told to accept."""

import shutil
import tempfile

import browser
import certs
import harness
import hls
import media


class BrowserTlsTest(harness.ClusterTest):
    seconds = 10
    stream = "live/browser"
    play = browser.Playing.play

    @classmethod
    def setUpClass(cls):
        browser.install()
        cls.folder = tempfile.mkdtemp(prefix="headwater-browser-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        pair = certs.Authority(cls.folder, "test-ca").issue("localhost", ["DNS:localhost", "IP:127.0.0.1"])
        cls.cluster_args = {"origins": 1, "edges": 1, "edge_set": {
            "https.listen": "127.0.0.1:0", "tls.certificates": "=".join(pair)}}
        super().setUpClass()
        cls.edge = cls.cluster.edges[0]
        cls.publisher = media.publish(media.clip("h264_aac"), cls.cluster.origins[0].url(cls.stream),
                                      cls.cluster.folder, loop=True)
        cls.addClassCleanup(cls.publisher.kill)
        cls.cluster.wait_route(cls.stream)

    def url(self, suffix, scheme="https"):
        return f"{scheme}://localhost:{self.edge.https[1]}/{self.stream}.{suffix}"

    def count(self):
        """{protocol: responses of the edge}."""
        return self.protocols[f"https://localhost:{self.edge.https[1]}"]

    def test_hls_over_http2_and_media_over_wss_play_without_a_stall(self):
        for container in ("ts", "fmp4"):
            viewer = hls.Client(self.edge.http, self.stream, container)
            harness.wait_until(lambda: len(viewer.media().segments) >= browser.SEGMENTS_BEFORE, 30,
                               f"{container} segments", step_s=0.5)
        low, ts, *_ = self.play([self.url("m3u8"), self.url("m3u8?container=ts#normal"), self.url("flv", "wss"),
                                 self.url("ts", "wss")], "--any-certificate")
        self.assertGreater(low["parts"], 0, "is low latency")
        self.assertLess(low["latency_s"], 3)
        self.assertGreater(ts["latency_s"], 3, "begins some segments behind")
        self.assertGreater(self.count()["h2"], 50)
        self.assertEqual(set(self.count()), {"h2"}, "a WebSocket's handshake is no response")

    def test_endless_media_plays_over_https(self):
        """Over HTTP/1.1, to which the browser goes back when it is asked to."""
        self.play([self.url(suffix) for suffix in ("flv", "ts", "mp4")], "--any-certificate")
        self.assertEqual(self.count()["http/1.1"], 3)


if __name__ == "__main__":
    harness.main()
