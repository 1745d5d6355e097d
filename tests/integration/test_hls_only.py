"""HLS of the sound or of the pictures alone: the same segments as those of both."""

import os

import harness
from hls import OneNode, Playlist, attribute, play, probe, variants


class Only(OneNode):
    def both(self, client, only):
        """Playlists of all and of this selection, when they have three segments in common. What nobody
        asks for is given up, so one of them may have begun just now."""
        found = []

        def look():
            found[:] = [client.media(), Playlist(client.get(f"{client.media_path()}?only={only}")[2].decode())]
            return len(set(found[0].names()) & set(found[1].names())) >= 3

        harness.wait_until(look, 20, "segments that both have", step_s=0.2)
        return found

    def test_only_audio_and_only_video_line_up_with_all(self):
        self.publish()
        full = self.client()
        self.wait_segments(full, 3)
        for only, codec, letter in (("audio", r"mp4a\.40\.2", "a"), ("video", r"avc1\.[0-9a-f]{6}", "v")):
            for container in ("fmp4", "ts"):
                status, _, text = full.get(f"/{self.stream}.m3u8?container={container}&only={only}", timeout_s=20)
                self.assertEqual(status, 200, text)
                (attributes, uri), = variants(text.decode())
                self.assertRegex(attribute(attributes, "CODECS"), f"^{codec}$")
                self.assertRegex(uri, rf"/{container}\.m3u8\?only={only}&session=h-[0-9a-f]{{12}}$")
                self.assertEqual(play(f"{self.node.url(self.stream, 'http')[:-4]}.m3u8?container={container}"
                                      f"&only={only}", 3), "")
            whole, part = self.both(full, only)
            self.assertEqual({s["uri"][:2] for s in part.segments}, {f"s{letter}"})
            self.assertEqual({uri[:2] for uri in part.maps}, {f"i{letter}"})
            common = set(whole.names()) & set(part.names())
            for msn in common:
                name, duration = part.names()[msn]
                self.assertEqual((name.replace(f"s{letter}", "s"), duration), whole.names()[msn])
            name = part.names()[max(common)][0]
            path = os.path.join(self.cluster.folder, f"{only}.mp4")
            with open(path, "wb") as file:
                file.write(full.piece(part.maps[0])[2] + full.piece(name)[2])
            self.assertEqual(list(probe(path)), [only])
        self.assertEqual(len(variants(full.multivariant())), 1)
        for query in ("only=", "only=sound", "tracks=2"):
            for path in (f"/{self.stream}.m3u8", full.media_path()):
                self.assertEqual(full.get(f"{path}?{query}")[0], 400, f"{path}?{query}")


if __name__ == "__main__":
    harness.main()
