"""Chromium goes on where the pictures become larger or smaller in mid-stream, by every output."""

import browser
import everyone
import flv
import harness
import media
import test_changes

SIZES = {"h264_aac": (320, 240), "wide": (480, 272)}
PARTS = 20       # of two seconds
SECONDS = 10     # of them are watched: at least four changes


def changing():
    """The size changes with every part, the sound goes on."""
    clips = [everyone.media_of(flv.read_file(media.clip(name, 60))) for name in SIZES]
    sound = [t for t in test_changes.only(clips[0], flv.AUDIO) if t.ts < PARTS * 2000]
    pictures = []
    for i in range(PARTS):
        pictures += test_changes.only(test_changes.section(clips[i % 2], i * test_changes.GOPS, i * 2000), flv.VIDEO)
    return everyone.in_time(sorted(pictures + sound, key=lambda t: (t.ts, everyone.is_frame(t))))


class BrowserChangesTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 1}
    seconds = SECONDS
    stream = "live/browser"
    play, url = browser.Playing.play, browser.Playing.url

    @classmethod
    def setUpClass(cls):
        browser.install()
        super().setUpClass()

    def play_over_changes(self, *suffixes):
        publisher = everyone.TagPublisher(self.cluster.origins[0].rtmp, self.stream, changing())
        harness.wait_until(lambda: publisher.at > 10 or publisher.error, 10, "publishes")
        self.cluster.wait_route(self.stream)
        for r in self.play([self.url(self.cluster.edges[0], *suffix.split(" ")) for suffix in suffixes]):
            self.assertIn((r["width"], r["height"]), SIZES.values())
        publisher.join(PARTS * 2 + 10)
        self.assertIsNone(publisher.error)

    def test_media_of_one_request(self):
        self.play_over_changes("flv", "ts ws", "mp4")

    def test_segments(self):
        self.play_over_changes("m3u8", "m3u8#normal", "m3u8?container=ts#normal")


if __name__ == "__main__":
    harness.main()
