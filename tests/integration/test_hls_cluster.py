"""HLS of several nodes, and groups of renditions: edges that agree."""

import concurrent.futures
import json
import re

import harness
import media
from hls import QUICK, Client, attribute, play, variants


class Edges(harness.ClusterTest):
    """The same names, borders and bytes at every node; one playlist over a change of origins."""
    cluster_args = {"origins": 2, "edges": 2, "node_set": {**QUICK, "publisher_grace_ms": "8000"}}

    def publish(self, stream, origin=0):
        return media.publish(media.clip("h264_aac", 6), self.cluster.origins[origin].url(stream),
                             self.cluster.folder, f"pub-{stream[5:]}-{origin}", loop=True)

    def wait_all(self, clients, n):
        """Playlists of all, taken together, when each has so many segments. Who is not asked goes away."""
        found = []

        def look():
            found[:] = pool.map(lambda client: client.media(), clients)
            return all(len(playlist.segments) >= n for playlist in found)

        with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
            harness.wait_until(look, 20, f"{n} segments at each", step_s=0.2)
        return found

    def test_edges_agree_on_names_borders_and_fragments(self):
        stream = "live/agree"
        publisher = self.publish(stream)
        try:
            self.cluster.wait_route(stream)
            nodes = [self.cluster.origins[0], *self.cluster.edges]
            clients = [Client(node.http, stream) for node in nodes]
            self.wait_all(clients[:2], 3)  # the third comes late
            lists = self.wait_all(clients, 3)
            common = set.intersection(*(set(p.names()) for p in lists))
            self.assertGreaterEqual(len(common), 2, "\n".join(str(p.names()) for p in lists))
            for msn in common:
                self.assertEqual(len({p.names()[msn] for p in lists}), 1, [p.names()[msn] for p in lists])
            name = lists[0].names()[max(common)][0]
            pieces = {client.piece(name)[2] for client in clients}
            self.assertEqual(len(pieces), 1, "fragments differ")
            self.assertEqual(len({p.maps[0] for p in lists}), 1)
            walls = [next(s["wall"] for s in p.segments if s["uri"] == name) for p in lists]
            self.assertEqual(len({w[:-3] for w in walls}), 1, walls)
            ts = [Client(node.http, stream, "ts") for node in nodes[:2]]
            lists = [playlist.names() for playlist in self.wait_all(ts, 2)]
            common = set(lists[0]) & set(lists[1])
            self.assertTrue(common, lists)
            for msn in common:
                self.assertEqual(lists[0][msn], lists[1][msn])
        finally:
            publisher.kill()

    def test_entry_point_redirects_playlists(self):
        stream = "live/entry"
        publisher = self.publish(stream)
        try:
            self.cluster.wait_route(stream)
            for path in (f"/{stream}.m3u8?x=1", f"/{stream}/index.m3u8?x=1"):
                status, headers, _ = harness.http_request(self.cluster.scheduler.http, path)
                location = headers["location"]
                self.assertEqual(status, 302)
                self.assertTrue(location.endswith(f"/{stream}.m3u8?x=1"), location)
            self.assertEqual(play(location, 3), "")
        finally:
            publisher.kill()

    def test_numbers_go_on_at_another_origin(self):
        stream = "live/moves"
        first = self.publish(stream)
        second = None
        try:
            self.cluster.wait_route(stream)
            client = Client(self.cluster.edges[0].http, stream)
            harness.wait_until(lambda: len(client.media().segments) >= 3, 20, "segments", step_s=0.2)
            before = client.media()
            first.kill()
            second = self.publish(stream, origin=1)
            harness.wait_until(lambda: any(s["discontinuity"] for s in client.media().segments), 20,
                               "discontinuity", step_s=0.2)
            after = client.media()
            numbers = [int(re.match(r"s\d+-(\d+)\.", s["uri"])[1]) for s in after.segments]
            self.assertEqual(numbers, list(range(after.media_sequence, after.media_sequence + len(numbers))))
            self.assertGreaterEqual(after.media_sequence, before.media_sequence)
            self.assertLess(after.next_msn, before.next_msn + 12)
            self.assertFalse(any(s["gap"] for s in after.segments), after.text)
            late = Client(self.cluster.edges[1].http, stream)
            harness.wait_until(lambda: len(late.media().segments) >= 2, 20, "segments", step_s=0.2)
            here, there = client.media().names(), late.media().names()
            for msn in set(here) & set(there):
                self.assertEqual(here[msn], there[msn])
        finally:
            first.kill()
            if second:
                second.kill()


class Group(harness.ClusterTest):
    """Renditions of one name as one adaptive stream."""
    cluster_args = {"origins": 1, "edges": 1, "node_set": {**QUICK, "hls.renditions": "_720,_480",
                                                           "hls.audio_variant": "true"}}

    def test_multivariant_lists_the_renditions_that_there_are(self):
        origin, edge = self.cluster.origins[0], self.cluster.edges[0]
        publishers = [media.publish(media.clip(clip, 6), origin.url(f"live/g{suffix}"), self.cluster.folder,
                                    f"pub{suffix}", loop=True) for suffix, clip in (("_720", "h264_aac"), ("_480", "small"))]
        try:
            for suffix in ("_720", "_480"):
                self.cluster.wait_route(f"live/g{suffix}")
            client = Client(edge.http, "live/g")
            found = variants(client.multivariant(timeout_s=30))
            sessions = {uri.split("session=")[1] for _, uri in found}
            self.assertEqual(len(sessions), 1, "one session")
            self.assertEqual([re.split("session=", uri)[0] for _, uri in found],
                             ["g_720/fmp4.m3u8?", "g_480/fmp4.m3u8?", "g_720/fmp4.m3u8?only=audio&"])
            self.assertEqual([attribute(a, "RESOLUTION") for a, _ in found], ["320x240", "160x120", None])
            self.assertEqual(attribute(found[2][0], "CODECS"), "mp4a.40.2")
            inside = variants(client.get("/live/g/index.m3u8")[2].decode())
            self.assertEqual(inside[0][1].split("?")[0], "../g_720/fmp4.m3u8")
            report = client.get("/live/g_480/fmp4.m3u8?only=audio")[2].decode()
            self.assertRegex(report, r'URI="\.\./g_720/fmp4\.m3u8\?only=audio",LAST-MSN=\d+,LAST-PART=\d+')
            report = Client(edge.http, "live/g_480").media().text
            self.assertRegex(report, r'#EXT-X-RENDITION-REPORT:URI="\.\./g_720/fmp4\.m3u8",LAST-MSN=\d+,LAST-PART=\d+')
            self.assertEqual(play(f"{edge.url('live/g', 'http')[:-4]}.m3u8", 4), "")
        finally:
            for publisher in publishers:
                publisher.kill()

    def test_group_that_was_told_has_names_of_any_kind(self):
        node = self.cluster.origins[0]
        publishers = [media.publish(media.clip(clip, 6), node.url(f"live/{name}"), self.cluster.folder,
                                    f"pub-{name}", loop=True) for name, clip in (("big", "h264_aac"), ("tiny", "small"))]

        def change(method, path, body=None):
            return harness.http_request(node.admin, f"/api/v1/hls/groups{path}", method=method, body=body,
                                        headers={"Content-Type": "application/json"})

        try:
            told = {"name": "live/told", "renditions": ["live/big", "live/tiny"]}
            status, _, body = change("POST", "", json.dumps(told))
            self.assertEqual((status, json.loads(body)), (200, told))
            self.assertEqual(harness.items(node.admin, "/api/v1/hls/groups"), [told])
            client = Client(node.http, "live/told")
            found = [uri.split("?")[0] for _, uri in variants(client.multivariant(timeout_s=30))]
            self.assertEqual(found[:2], ["big/fmp4.m3u8", "tiny/fmp4.m3u8"])
            self.assertIn("../tiny/fmp4.m3u8", Client(node.http, "live/big").media().text)
            self.assertEqual(change("POST", "", json.dumps({**told, "name": "live/two"}))[0], 409)
            self.assertEqual(change("DELETE", "/live/told")[0], 204)
            self.assertEqual(change("DELETE", "/live/told")[0], 404)
            self.assertEqual(client.get("/live/told.m3u8", timeout_s=20)[0], 404)
        finally:
            for publisher in publishers:
                publisher.kill()


if __name__ == "__main__":
    harness.main()
