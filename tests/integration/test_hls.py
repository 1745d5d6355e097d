"""HLS and low-latency HLS at one node: playlists, segments and parts as players see them."""

import os
import re
import threading

import harness
import media
from hls import OneNode, Playlist, attribute, play, probe, variants


class Hls(OneNode):
    def test_ffmpeg_plays_fmp4_and_ts_without_an_error(self):
        self.publish()
        found = {}

        def run(container):
            found[container] = play(f"{self.node.url(self.stream, 'http')[:-4]}.m3u8?container={container}")

        threads = [threading.Thread(target=run, args=(c,)) for c in ("fmp4", "ts")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, {"fmp4": "", "ts": ""})

    def test_multivariant_says_what_was_measured(self):
        self.publish()
        client = self.client()
        (attributes, uri), = variants(client.multivariant())
        self.assertRegex(attribute(attributes, "CODECS"), r"^avc1\.[0-9a-f]{6},mp4a\.40\.2$")
        self.assertEqual(attribute(attributes, "RESOLUTION"), "320x240")
        self.assertAlmostEqual(float(attribute(attributes, "FRAME-RATE")), 25, delta=0.1)
        peak, average = (int(attribute(attributes, k)) for k in ("BANDWIDTH", "AVERAGE-BANDWIDTH"))
        self.assertGreaterEqual(peak, average)
        self.assertGreater(average, 100_000)
        self.assertLess(peak, 3_000_000)
        inside = variants(self.client().get(f"/{self.stream}/index.m3u8")[2].decode())[0][1]
        self.assertRegex(uri, rf"^{self.stream[5:]}/fmp4\.m3u8\?session=h-[0-9a-f]{{12}}$")
        self.assertRegex(inside, r"^fmp4\.m3u8\?session=h-[0-9a-f]{12}$")

    def test_segments_are_their_parts_and_decode(self):
        self.publish()
        client = self.client()
        self.wait_segments(client, 2)
        playlist = client.media()
        init = client.piece(playlist.maps[0])[2]
        segment = playlist.segments[-1]
        whole = client.piece(segment["uri"])[2]
        self.assertEqual(b"".join(client.piece(uri)[2] for _, uri in segment["parts"]), whole)
        self.assertAlmostEqual(sum(d for d, _ in segment["parts"]), segment["duration"], places=3)
        path = os.path.join(self.cluster.folder, "one.mp4")
        with open(path, "wb") as file:
            file.write(init + whole)
        frames = probe(path)
        self.assertEqual(frames["video"], 25)
        self.assertGreater(frames["audio"], 35)

    def test_parts_keep_the_promised_length(self):
        self.publish()
        client = self.client()
        self.wait_segments(client, 3)
        playlist = client.media()
        target = float(attribute(playlist.tags["#EXT-X-PART-INF"], "PART-TARGET"))
        lengths = [d for s in playlist.segments for d, _ in s["parts"]]
        self.assertTrue(lengths)
        self.assertLessEqual(max(lengths), target)

    def test_blocking_reload_answers_when_the_part_is_there(self):
        self.publish()
        client = self.client()
        self.wait_segments(client, 1)
        playlist = client.media()
        for _ in range(8):
            msn, part = playlist.next_msn, len(playlist.parts)
            playlist = client.media(msn=msn, part=part)
            has = playlist.next_msn > msn or len(playlist.parts) > part
            self.assertTrue(has, f"asked for {msn}.{part}\n{playlist.text}")
            self.assertLess(playlist.next_msn, msn + 3)

    def test_preload_hint_waits_for_its_part(self):
        self.publish()
        client = self.client()
        self.wait_segments(client, 1)
        for _ in range(5):
            hint = client.media().hint
            status, headers, body = client.piece(hint)
            self.assertEqual(status, 200)
            self.assertGreater(len(body), 100)

    def test_delta_update_leaves_old_segments_out(self):
        self.publish()
        client = self.client()
        self.wait_segments(client, 8)
        harness.wait_until(lambda: client.media(skip="YES").skipped > 0, 10, "a delta", step_s=0.2)
        full, delta = client.media(), client.media(skip="YES")
        while delta.media_sequence != full.media_sequence:
            full, delta = client.media(), client.media(skip="YES")
        self.assertGreater(delta.skipped, 0)
        names = full.names()
        for msn, piece in delta.names().items():
            self.assertEqual(names.get(msn, piece), piece)

    def test_absurd_directives_are_refused(self):
        self.publish()
        client = self.client()
        self.wait_segments(client, 1)
        msn = client.media().next_msn
        cases = {f"_HLS_msn={msn + 50}": 400, "_HLS_msn=-1": 400, "_HLS_msn=x": 400, "_HLS_part=1": 400,
                 f"_HLS_msn={2**64}": 400, f"_HLS_msn={msn}&_HLS_part=4000000000": 400,
                 "_HLS_msn=0": 200}
        got = {query: client.get(f"/{self.stream}/fmp4.m3u8?{query}")[0] for query in cases}
        self.assertEqual(got, cases)
        run = re.search(r"s(\d+)-", client.media().segments[0]["uri"])[1]
        for name in (f"s{run}-999999.m4s", f"s{run}-{msn}.999.m4s", f"i{run}-1.mp4", "s1-0.m4s", "s0-00.m4s"):
            self.assertEqual(client.piece(name)[0], 404, name)

    def test_answers_are_good_for_caches(self):
        self.publish()
        client = self.client()
        self.wait_segments(client, 2)
        name = client.media().segments[0]["uri"]
        status, headers, body = client.piece(name)
        self.assertIn("immutable", headers["cache-control"])
        self.assertEqual(headers["access-control-allow-origin"], "*")
        again = client.piece(name, headers={"If-None-Match": headers["etag"]})
        self.assertEqual((again[0], again[2]), (304, b""))
        part = client.piece(name, headers={"Range": "bytes=10-19"})
        self.assertEqual((part[0], part[2]), (206, body[10:20]))
        head = client.piece(name, method="HEAD")
        self.assertEqual((head[0], head[2], head[1]["content-length"]), (200, b"", str(len(body))))
        status, headers, _ = client.get(client.media_path())
        self.assertEqual((status, headers["cache-control"]), (200, "no-cache"))
        self.assertEqual(headers["content-type"], "application/vnd.apple.mpegurl")

    def test_audio_only_plays(self):
        self.publish("audio_only")
        for container in ("fmp4", "ts"):
            client = self.client(container)
            (attributes, _), = variants(client.multivariant())
            self.assertEqual(attribute(attributes, "CODECS"), "mp4a.40.2")
            self.assertIsNone(attribute(attributes, "RESOLUTION"))
            self.assertEqual(play(f"{self.node.url(self.stream, 'http')[:-4]}.m3u8?container={container}", 4), "")

    def test_republish_goes_on_with_a_discontinuity(self):
        first = self.publish()
        client = self.client()
        self.wait_segments(client, 2)
        before = client.media()
        first.kill()
        harness.wait_until(lambda: not self.live(), 10, "unpublished")
        self.publish()
        harness.wait_until(lambda: any(s["discontinuity"] for s in client.media().segments), 15,
                           "discontinuity", step_s=0.2)
        after = client.media()
        at = next(i for i, s in enumerate(after.segments) if s["discontinuity"])
        runs = [re.match(r"s(\d+)-(\d+)\.m4s", s["uri"]).groups() for s in after.segments]
        self.assertEqual([int(msn) for _, msn in runs],
                         list(range(after.media_sequence, after.media_sequence + len(runs))))
        self.assertNotEqual(runs[at][0], runs[at - 1][0])
        self.assertEqual(sum(s["discontinuity"] for s in after.segments), 1)
        self.assertEqual(len(after.maps), 2 if at else 1)
        self.assertGreaterEqual(after.next_msn, before.next_msn)
        self.assertFalse(after.ended)
        harness.wait_until(lambda: client.media().discontinuity_sequence == 1, 20,
                           "the discontinuity leaves the playlist", step_s=0.3)

    def live(self):
        return any(s["name"] == self.stream and s["source"] for s in self.node.streams())

    def test_unknown_stream_gets_404_and_leaves_nothing(self):
        self.assertEqual(self.client().get(f"/{self.stream}.m3u8", timeout_s=20)[0], 404)
        harness.wait_until(lambda: all(s["name"] != self.stream for s in self.node.streams()), 15, "forgotten")
        self.assertEqual(self.client().get("/live.m3u8")[0], 404)

    def sessions(self):
        return [s for s in self.node.sessions() if s["protocol"] == "hls" and s["stream"] == self.stream]

    def test_viewers_are_counted_by_session(self):
        self.publish()
        uris = [f"/live/{variants(self.client().multivariant())[0][1]}" for _ in range(2)]
        for uri in uris:
            self.client().get(uri)
        ids = {uri.split("=")[1] for uri in uris}
        self.assertEqual({s["id"] for s in self.sessions()}, ids)
        self.assertEqual(harness.get_json(self.node.admin, f"/api/v1/streams/{self.stream}")["viewers"], 2)
        segment = Playlist(self.client().get(uris[1])[2].decode()).segments[0]["uri"]
        size = len(self.client().piece(segment)[2])
        self.assertGreaterEqual(max(s["bytes_out"] for s in self.sessions()), size)
        def counted():
            return next(s["bytes_out"] for s in self.sessions() if s["id"] == uris[1].split("=")[1])
        etag, before = self.client().piece(segment, method="HEAD")[1]["etag"], counted()
        self.client().piece(segment, headers={"If-None-Match": etag})
        self.client().piece(segment, headers={"Range": "bytes=10-19"})
        self.client().piece(segment, headers={"Range": f"bytes={size}-"})
        self.assertEqual(counted() - before, 10, "what was sent, no more")
        harness.wait_until(lambda: not self.sessions(), 10, "idle sessions are over")

    def test_kicked_session_stays_out(self):
        self.publish()
        uri = f"/live/{variants(self.client().multivariant())[0][1]}"
        session = uri.split("=")[1]
        status = harness.http_request(self.node.admin, f"/api/v1/sessions/{session}", method="DELETE",
                                      headers={"Content-Type": "application/json"})[0]
        self.assertEqual(status, 204)
        self.assertEqual(self.client().get(uri)[0], 403)

    def test_end_of_stream_ends_the_playlist(self):
        path = media.clip("h264_aac", 6)
        publisher = media.publish(path, self.node.url(self.stream), self.cluster.folder, "pub-end")
        self.publishers.append(publisher)
        client = self.client()
        self.wait_segments(client, 3)
        status = harness.http_request(self.node.admin, f"/api/v1/streams/{self.stream}", method="DELETE",
                                      headers={"Content-Type": "application/json"})[0]
        self.assertEqual(status, 204)
        playlist = client.media()
        self.assertTrue(playlist.ended, playlist.text)
        self.assertIsNone(playlist.hint)


if __name__ == "__main__":
    harness.main()
