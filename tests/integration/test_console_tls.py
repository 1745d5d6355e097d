"""The console over TLS in a real browser: the scheduler's page, through it a node's API, players at nodes that name sites; a
node's own page. The certificate is of an authority of our own, which the browser is told to accept."""

import shutil
import tempfile

import certs
import console_page
import harness
import media

STREAM = "live/news"
PLAYING = "document.querySelector('.player').dataset.state === 'playing' && document.querySelector('.player').dataset.frames > 50"
ELSEWHERE = "https://site.example"


class TlsTest(harness.ClusterTest):
    """The edge lets frames without an origin read what it sends, the origin does not."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="headwater-console-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        authority = certs.Authority(cls.folder, "ca")
        pair = "=".join(authority.issue("all", ["IP:127.0.0.1", f"DNS:{console_page.HOST}"]))
        tls = {"tls.certificates": pair, "tls.ca_file": authority.path,
               "admin.tokens_file": console_page.write_tokens(f"{cls.folder}/tokens")}
        cls.port = harness.free_port()
        cls.cluster_args = {
            "origins": 1, "edges": 1, "scheduler_set": {"https.listen": f"127.0.0.1:{cls.port}", **tls},
            "node_set": {"admin.tls": "true", **tls}, "origin_set": {"http.cors_origins": ELSEWHERE},
            "edge_set": {"http.cors_origins": f"{ELSEWHERE},null"}}
        super().setUpClass()
        cls.origin, cls.edge = cls.cluster.origins[0], cls.cluster.edges[0]
        cls.page = console_page.Page()
        cls.addClassCleanup(cls.page.close)
        cls.publisher = media.publish(media.clip("h264_aac"), cls.origin.url(STREAM), cls.cluster.folder, loop=True)
        cls.addClassCleanup(cls.publisher.kill)
        cls.cluster.wait_route(STREAM)

    def open(self, port):
        self.page.fresh({"any_certificate": True})
        self.page.goto(f"https://{console_page.HOST}:{port}/")
        self.page.wait("#token")
        self.page.fill("#token", console_page.ADMIN)
        self.page.press("Enter")
        self.page.wait("#nav")

    def play(self, base, kind):
        """What the page says then: it plays, or why not."""
        page = self.page
        page.until(f"[...document.querySelectorAll('select[aria-label=From] option')].some((x) => x.value === '{base}')")
        page.select("select[aria-label=From]", base)
        page.select("select[aria-label=Format]", kind)
        page.click(".player-controls button:has-text('Play')")
        return page.until(f"{PLAYING} ? 'plays' : document.querySelector('.player .problem')?.textContent", 40, f"{kind} of {base}")

    def stop(self):
        self.page.click("button:has-text('Stop')")
        self.page.wait(".big-play")

    def at(self, node):
        return "https://%s:%d" % node.https

    def test_console_of_a_cluster_and_its_player(self):
        page = self.page
        self.open(self.port)
        page.view("#/nodes/edge-1", ".facts")  # by the scheduler, which asks the node over TLS
        page.view(f"#/streams/{STREAM}", ".graph a")
        best = f"https://{console_page.HOST}:{self.port}"  # a redirect to the edge, which carries the stream from then on
        for base, kind in ((best, "flv"), (self.at(self.edge), "hls"), (self.at(self.edge), "ts")):
            self.assertEqual(self.play(base, kind), "plays")
            self.stop()
        page.until("document.querySelectorAll('table[aria-label=Sessions] tbody tr').length >= 1")
        self.assertEqual(page.told(), [])
        self.assertFalse([a["url"] for a in page.asked() if not a["url"].startswith(("https://", "blob:", "data:"))])

    def test_node_that_names_sites_alone_is_not_played_from(self):
        page = self.page
        self.open(self.port)
        page.view(f"#/streams/{STREAM}", ".graph a")
        for kind in ("flv", "hls"):
            self.assertNotEqual(self.play(self.at(self.origin), kind), "plays")
            self.stop()
        self.assertTrue([text for text in page.told() if "CORS policy" in text])

    def test_node_alone_serves_its_console(self):
        self.open(self.edge.admin[1])
        self.page.view("#/nodes", "tbody tr")
        self.assertEqual(self.page.told(), [])


if __name__ == "__main__":
    harness.main()
