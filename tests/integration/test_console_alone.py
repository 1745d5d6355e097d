"""The console of a node without a scheduler, in a real browser: a stream comes, is played, the node drains."""

import console_page
import harness
import media

STREAM = "live/news"


class AloneTest(harness.ClusterTest):
    cluster_args = {"schedulers": 0, "origins": 1, "edges": 0, "node_set": {"drain_timeout_s": "60"}}

    def test_node_serves_the_console_for_itself(self):
        page = console_page.Page()
        self.addCleanup(page.close)
        node = self.cluster.origins[0]
        page.open(node)
        page.wait(".tiles")
        publisher = media.publish(media.clip("h264_aac"), node.url(STREAM), self.cluster.folder, loop=True)
        self.addCleanup(publisher.kill)
        page.view("#/streams", f"tr[data-key='{STREAM}']")
        page.click("tbody a")
        page.wait(".graph a")
        page.click(".big-play")
        page.until("document.querySelector('.player').dataset.state === 'playing' && document.querySelector('.player').dataset.frames > 50", 40)
        page.until("document.querySelectorAll('table[aria-label=Sessions] tbody tr').length >= 2")
        page.hash("#/nodes")
        page.click("button:has-text('Drain')")
        page.click("dialog button:has-text('Drain')")
        page.until("document.querySelector('tbody .chip').textContent === 'draining'", 10)
        page.click("button:has-text('Resume')")
        page.until("document.querySelector('tbody .chip').textContent === 'active'", 10)
        self.assertEqual(page.told(), [])


if __name__ == "__main__":
    harness.main()
