"""HLS as a client sees it: playlists read by an independent parser, pieces fetched by their names."""

import re
import subprocess
import urllib.parse

import harness
import media

PLAY_S = 10
# Settings of tests that do not want to wait for segments of two seconds.
QUICK = {"hls.segment_ms": "1000", "hls.idle_ms": "3000", "hls.window_s": "10"}


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
        init = None  # of the segments that follow
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
                init = attribute(value, "URI")
                self.maps.append(init)
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
                self.segments.append({**coming, "uri": line, "map": init})
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


def play(url, seconds=PLAY_S):
    """What ffmpeg complains of; "" for nothing. It says that it finds an init section again where a live
    playlist names it again, which is as it should be."""
    done = subprocess.run([harness.tool("ffmpeg"), "-nostdin", "-v", "warning", "-xerror", "-err_detect",
                           "explode", "-i", url, "-t", str(seconds), "-f", "null", "-"],
                          capture_output=True, text=True, timeout=seconds * 4 + 20)
    lines = [line for line in done.stderr.split("\n")
             if line and "duplicated MOOV" not in line and "Last message repeated" not in line]
    return "\n".join(lines) if not done.returncode else f"exit {done.returncode}\n{done.stderr}"


def probe(path):
    """Codec types that ffprobe decodes in the file, without a complaint."""
    done = subprocess.run([harness.tool("ffprobe"), "-v", "warning", "-count_frames", "-show_entries",
                           "stream=codec_type,nb_read_frames", "-of", "csv=p=0", path],
                          capture_output=True, text=True)
    assert not done.returncode and not done.stderr, done.stderr
    return {line.split(",")[0]: int(line.split(",")[1]) for line in done.stdout.split()}


class OneNode(harness.ClusterTest):
    """One node, and what it makes of a stream."""
    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0, "node_set": QUICK}

    def setUp(self):
        self.node = self.cluster.origins[0]
        self.stream = f"live/{self.id().split('.')[-1][:60]}"
        self.publishers = []

    def tearDown(self):
        for publisher in self.publishers:
            publisher.kill()

    def publish(self, clip="h264_aac", seconds=6):
        publisher = media.publish(media.clip(clip, seconds), self.node.url(self.stream), self.cluster.folder,
                                  f"pub-{self.stream[5:25]}-{len(self.publishers)}", loop=True)
        self.publishers.append(publisher)
        return publisher

    def client(self, container="fmp4"):
        return Client(self.node.http, self.stream, container)

    def wait_segments(self, client, n):
        harness.wait_until(lambda: len(client.media().segments) >= n, 20, f"{n} segments", step_s=0.2)
