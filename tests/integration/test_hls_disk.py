"""HLS on disk: what each way to clean up leaves, and that it plays."""

import os
import re
import tempfile
import unittest

import harness
import media
from hls import QUICK, Client, Playlist, play


class Disk(unittest.TestCase):
    """Segments on disk, in each of the three ways to clean up."""

    def record(self, cleanup, check):
        """Publishes for a while under this mode; check(folder, client, publisher, node)."""
        with tempfile.TemporaryDirectory() as folder:
            sets = {**QUICK, "hls.window_s": "3", "hls.disk.dir": folder, "hls.disk.cleanup": cleanup,
                    "hls.mode": "always"}
            with harness.Cluster(origins=1, edges=0, schedulers=0, node_set=sets) as cluster:
                node = cluster.origins[0]
                publisher = media.publish(media.clip("h264_aac", 6), node.url("live/disk"), cluster.folder,
                                          "pub-disk", loop=True)
                try:
                    check(os.path.join(folder, "live", "disk"), Client(node.http, "live/disk"), publisher, node)
                finally:
                    publisher.kill()

    @staticmethod
    def segments(folder):
        return sorted(n for n in os.listdir(folder) if n.endswith(".m4s")) if os.path.isdir(folder) else []

    @staticmethod
    def end(node):
        harness.http_request(node.admin, "/api/v1/streams/live/disk", method="DELETE",
                             headers={"Content-Type": "application/json"})

    def test_keep_leaves_all_and_a_list_that_plays(self):
        def check(folder, client, publisher, node):
            harness.wait_until(lambda: len(self.segments(folder)) >= 9, 30, "9 segments on disk", step_s=0.2)
            oldest = Playlist(client.piece("record.m3u8")[2].decode()).segments[0]["uri"]
            in_memory = [s["uri"] for s in client.media().segments]
            self.assertNotIn(oldest, in_memory)
            self.assertEqual(client.piece(oldest)[0], 200)  # from disk
            self.end(node)
            harness.wait_until(lambda: Playlist(client.piece("record.m3u8")[2].decode()).ended, 10, "the end")
            record = Playlist(client.piece("record.m3u8")[2].decode())
            self.assertEqual(record.tags["#EXT-X-PLAYLIST-TYPE"], "EVENT")
            self.assertEqual([s["uri"] for s in record.segments], self.in_order(folder))
            self.assertLessEqual(max(s["duration"] for s in record.segments), record.target)
            self.assertEqual(play(f"http://%s:%d/live/disk/record.m3u8" % node.http, 9), "")

        self.record("keep", check)

    def in_order(self, folder):
        return sorted(self.segments(folder), key=lambda name: int(re.match(r"s\d+-(\d+)", name)[1]))

    def test_window_removes_each_file_with_its_segment(self):
        def check(folder, client, publisher, node):
            seen = set()

            def look():
                seen.update(self.segments(folder))
                return len(seen) >= 14

            harness.wait_until(look, 40, "14 segments", step_s=0.2)
            self.assertLess(len(self.segments(folder)), 10)
            self.assertEqual(client.piece("record.m3u8")[0], 404)
            self.assertEqual(client.piece(min(seen, key=lambda n: int(n.split("-")[1][:-4])))[0], 404)

        self.record("window", check)

    def test_end_removes_all_when_the_channel_goes(self):
        def check(folder, client, publisher, node):
            harness.wait_until(lambda: len(self.segments(folder)) >= 3, 20, "3 segments on disk", step_s=0.2)
            self.end(node)
            publisher.kill()
            harness.wait_until(lambda: not os.path.exists(folder), 20, "the folder is gone", step_s=0.2)

        self.record("end", check)


if __name__ == "__main__":
    harness.main()
