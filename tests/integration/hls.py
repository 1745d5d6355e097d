"""HLS as a client sees it: playlists read by an independent parser, pieces fetched by their names."""

import re
import urllib.parse

import harness


class Playlist:
    """A media playlist: its tags, and what they say of segments and parts."""

    def __init__(self, text):
        self.text = text
        lines = text.strip().split("\n")
        assert lines[0] == "#EXTM3U", lines[0]
        self.segments, self.parts, self.maps, self.hint, self.skipped = [], [], [], None, 0
        self.tags, self.ended = {}, False
        self.media_sequence = self.discontinuity_sequence = 0
        self._read(lines[1:])

    def _read(self, lines):
        coming = {"discontinuity": False, "parts": [], "gap": False, "wall": None}
        for line in lines:
            tag, _, value = line.partition(":")
            if tag == "#EXTINF":
                coming["duration"] = float(value.split(",")[0])
            elif tag == "#EXT-X-DISCONTINUITY":
                coming["discontinuity"] = True
            elif tag == "#EXT-X-GAP":
                coming["gap"] = True
            elif tag == "#EXT-X-PROGRAM-DATE-TIME":
                coming["wall"] = value
            elif tag == "#EXT-X-MAP":
                self.maps.append(attribute(value, "URI"))
            elif tag == "#EXT-X-PART":
                coming["parts"].append((float(attribute(value, "DURATION")), attribute(value, "URI")))
            elif tag == "#EXT-X-PRELOAD-HINT":
                self.hint = attribute(value, "URI")
            elif tag == "#EXT-X-SKIP":
                self.skipped = int(attribute(value, "SKIPPED-SEGMENTS"))
            elif tag == "#EXT-X-ENDLIST":
                self.ended = True
            elif tag.startswith("#"):
                self.tags[tag] = value
            else:
                self.segments.append({**coming, "uri": line})
                coming = {"discontinuity": False, "parts": [], "gap": False, "wall": None}
        self.parts = coming["parts"]  # of the segment that runs
        self.open_discontinuity = coming["discontinuity"]
        self.media_sequence = int(self.tags["#EXT-X-MEDIA-SEQUENCE"])
        self.discontinuity_sequence = int(self.tags.get("#EXT-X-DISCONTINUITY-SEQUENCE", 0))
        self.target = int(self.tags["#EXT-X-TARGETDURATION"])

    @property
    def next_msn(self):
        return self.media_sequence + self.skipped + len(self.segments)

    def names(self):
        """{media sequence number: (name, duration, parts)}."""
        first = self.media_sequence + self.skipped
        return {first + i: (s["uri"], s["duration"]) for i, s in enumerate(self.segments)}


def attribute(text, key):
    found = re.search(rf'(?:^|,){key}=(?:"([^"]*)"|([^,]*))', text)
    return None if not found else found[1] if found[1] is not None else found[2]


def variants(text):
    """[(attributes, URI)] of a multivariant playlist."""
    lines = text.strip().split("\n")
    return [(line.partition(":")[2], lines[i + 1]) for i, line in enumerate(lines)
            if line.startswith("#EXT-X-STREAM-INF")]


class Client:
    """One viewer of a stream at a node."""

    def __init__(self, address, stream, container="fmp4"):
        self.address, self.stream, self.container = address, stream, container
        self.base = f"/{stream}/"

    def get(self, path, **more):
        return harness.http_request(self.address, path, **more)

    def multivariant(self, timeout_s=20):
        status, headers, body = self.get(f"/{self.stream}.m3u8?container={self.container}", timeout_s=timeout_s)
        assert status == 200, (status, body)
        return body.decode()

    def media_path(self, **directives):
        query = urllib.parse.urlencode({f"_HLS_{k}": v for k, v in directives.items()})
        return f"{self.base}{self.container}.m3u8{'?' if query else ''}{query}"

    def media(self, timeout_s=20, **directives):
        status, _, body = self.get(self.media_path(**directives), timeout_s=timeout_s)
        assert status == 200, (status, body)
        return Playlist(body.decode())

    def piece(self, name, **more):
        return self.get(self.base + name, **more)
