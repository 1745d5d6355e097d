"""What a real browser makes of every output; browser/README.md says how. test_browser.py watches for ten
seconds, test_browser_long.py for a minute."""

import json
import os
import subprocess

import harness
import hls
import media

FOLDER = os.path.join(harness.ROOT, "tests", "integration", "browser")
SEGMENTS_BEFORE = 4  # players begin three segments behind the newest
MIN_FPS = 20         # of 25: one that is late is dropped by a busy machine, many are a fault


def install():
    """The players and what drives the browser."""
    harness.npm_install(FOLDER, "hls.js")


class Playing(harness.ClusterTest):
    """A stream that goes on in a cluster; a browser at its nodes and at the entry point."""

    seconds = None  # of a set
    stream = "live/browser"
    cluster_args = {"origins": 1, "edges": 2}

    @classmethod
    def setUpClass(cls):
        install()
        super().setUpClass()
        cls.publisher = media.publish(media.clip("h264_aac"), cls.cluster.origins[0].url(cls.stream),
                                      cls.cluster.folder, loop=True)
        cls.cluster.wait_route(cls.stream)

    @classmethod
    def tearDownClass(cls):
        cls.publisher.kill()
        super().tearDownClass()

    def url(self, node, suffix, scheme="http"):
        return "%s://%s:%d/%s.%s" % (scheme, *node.http, self.stream, suffix)

    def play(self, urls, *options):
        """What play.js reports of each URL; all are played at the same time."""
        done = subprocess.run([harness.tool("node"), "play.js", "--seconds", str(self.seconds), *options, *urls],
                              cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=120 + self.seconds)
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr[-2000:]}")
        report = json.loads(done.stdout)
        self.protocols, results = report["protocols"], report["results"]
        self.assertEqual([r["url"] for r in results], urls)
        for r in results:
            self.assertTrue(r["has_video"] and r["has_audio"], r)
            self.assertGreater(r["decoded_frames"], MIN_FPS * r["progress_s"], r)
        return results

    def test_flv_over_http_and_websockets(self):
        nodes = self.cluster.nodes
        urls = [self.url(node, "flv") for node in nodes] + [self.url(node, "flv", "ws") for node in nodes[:2]]
        *_, entry = self.play([*urls, self.url(self.cluster.scheduler, "flv")])
        self.assertIn(entry["redirected_to"], urls)

    def test_ts_and_mp4_over_http_and_websockets(self):
        edge = self.cluster.edges[0]
        urls = [self.url(edge, suffix, scheme) for suffix in ("ts", "mp4") for scheme in ("http", "ws")]
        self.play([*urls, self.url(self.cluster.scheduler, "ts"), self.url(self.cluster.scheduler, "mp4")])

    def test_hls_of_ts_of_fmp4_and_of_low_latency(self):
        edges = self.cluster.edges
        for node, container in ((edges[0], "ts"), (edges[0], "fmp4"), (edges[1], "fmp4")):
            viewer = hls.Client(node.http, self.stream, container)
            harness.wait_until(lambda: len(viewer.media().segments) >= SEGMENTS_BEFORE, 30,
                               f"{container} segments at {node.id}", step_s=0.5)
        ts, fmp4, low, entry = self.play([
            self.url(edges[0], "m3u8?container=ts#normal"), self.url(edges[0], "m3u8#normal"),
            self.url(edges[1], "m3u8"), self.url(self.cluster.scheduler, "m3u8")])
        for r in (ts, fmp4):
            self.assertGreater(r["latency_s"], 3, "begins some segments behind")
        for r in (low, entry):
            self.assertGreater(r["parts"], 0, "is low latency")
            self.assertLess(r["latency_s"], 3)

