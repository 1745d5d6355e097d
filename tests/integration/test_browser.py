"""A real browser with mpegts.js plays every HTTP-FLV URL; browser/README.md says how."""

import json
import os
import subprocess

import harness
import media

FOLDER = os.path.join(harness.ROOT, "tests", "integration", "browser")


class BrowserTest(harness.ClusterTest):
    def test_chromium_plays_every_url(self):
        modules = os.path.join(FOLDER, "node_modules")
        if not os.path.isdir(modules):
            subprocess.run([harness.tool("npm"), "ci", "--no-audit", "--no-fund"], cwd=FOLDER, check=True)
        stream = "live/browser"
        publisher = media.publish(media.clip("h264_aac"), self.cluster.origins[0].url(stream),
                                  self.cluster.folder, loop=True)
        try:
            self.cluster.wait_route(stream)
            urls = [node.url(stream, "http") for node in self.cluster.nodes] + [self.cluster.entry(stream)]
            done = subprocess.run([harness.tool("node"), "play.js", "--seconds", "8", *urls], cwd=FOLDER,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=180)
        finally:
            publisher.kill()
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr[-2000:]}")
        self.assertEqual(len(json.loads(done.stdout)["results"]), len(urls))


if __name__ == "__main__":
    harness.main()
