"""Media that no encoder should send, judged at every output: what is too large, too short or out of all proportion ends
its publisher with a reason, or plays; streams beside it notice nothing."""

import socket
import struct

import everyone
import flv
import harness
import media
import outputs
import rtmp

SECONDS = 4
BIG_BYTES = 6 << 20          # of a picture: within every limit
MAX_BYTES = 0xFFFFFF         # of a message: RTMP and FLV have no more bits
LIMIT_BYTES = 4 << 20        # limits.message_bytes of the strict node
LONGEST_CTS = 0x7FFFFF       # ms; 2.3 hours


def nal(kind, size_bytes):
    return struct.pack(">I", size_bytes) + bytes([kind]) + b"\x55" * (size_bytes - 1)


def with_body(tag, body):
    return tag._replace(body=body)


def fat(tags, n_bytes):
    """The second key frame has a NAL unit of so many bytes that decoders pass over."""
    keys = [i for i, t in enumerate(tags) if t.type == flv.VIDEO and t.body[0] == 0x17 and t.body[1]]
    i = keys[1]
    return tags[:i] + [with_body(tags[i], tags[i].body + nal(30, n_bytes))] + tags[i + 1:]


def with_empty_frames(tags):
    """Between others: an empty message, AAC without data, a message of one byte of each kind of nothing."""
    out = []
    for i, tag in enumerate(tags):
        out.append(tag)
        if i % 10 == 9:
            out += [flv.Tag(flv.AUDIO, tag.ts, b""), flv.Tag(flv.VIDEO, tag.ts, b""),
                    flv.Tag(flv.AUDIO, tag.ts, b"\xaf\x01")]
    return out


def with_far_pictures(tags):
    """Some pictures are to be shown hours after, or before, they are decoded."""
    out = []
    for i, tag in enumerate(tags):
        if tag.type == flv.VIDEO and tag.body[0] == 0x27 and i % 20 == 0:
            cts = LONGEST_CTS if i % 40 else 0x800000
            tag = with_body(tag, tag.body[:2] + struct.pack(">I", cts)[1:] + tag.body[5:])
        out.append(tag)
    return out


class OutputsTest(harness.ClusterTest):
    """What a node takes in comes out whole at every output."""

    cluster_args = {"origins": 1, "edges": 1, "node_set": everyone.NODE_SET}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tags = everyone.media_of(flv.read_file(media.clip("small", SECONDS)))
        cls.streams = {"live/fat": fat(cls.tags, BIG_BYTES), "live/empty": with_empty_frames(cls.tags),
                       "live/far": with_far_pictures(cls.tags), "live/good": cls.tags}
        cls.played = everyone.play_at_once(cls.cluster, {stream: everyone.in_time(tags)
                                                         for stream, tags in cls.streams.items()})

    def check(self, stream, decode=True):
        """As the good clip, every frame at its time."""
        want = everyone.times_of(self.tags)
        for output, data in self.played[stream][1].items():
            with self.subTest(stream=stream, output=output):
                path = everyone.save(self.cluster.folder, f"{stream[5:]}-{output}.bin", data)
                if decode:
                    outputs.decode(path)
                found, ticks = outputs.packets(path)
                times = {kind: [p[:2] for p in track] for kind, track in found.items()}
                everyone.assert_times(want, times, max(*ticks.values(), everyone.Fraction(1, 1000)), output,
                                      may_miss=3)

    def test_picture_of_megabytes_plays(self):
        self.check("live/fat")
        for output, data in self.played["live/fat"][1].items():
            self.assertGreater(len(data), BIG_BYTES, output)

    def test_empty_frames_are_left_out(self):
        self.check("live/empty")

    def test_stream_beside_them_is_whole(self):
        self.check("live/good")

    def test_pictures_that_are_shown_hours_later_keep_their_decoding_times(self):
        want = {kind: [(dts, dts) for dts, _ in track] for kind, track in everyone.times_of(self.tags).items()}
        for output, data in self.played["live/far"][1].items():
            with self.subTest(output=output):
                if output in ("flv", "rtmp"):
                    times = everyone.times_of(flv.FlvReader().feed(data))
                elif output.endswith("ts"):
                    times, _ = everyone.times_of_ts(data)
                else:
                    times, _ = outputs.packets(everyone.save(self.cluster.folder, f"far-{output}.bin", data))
                got = {kind: [(p[0], p[0]) for p in track] for kind, track in times.items()}
                everyone.assert_times(want, got, everyone.Fraction(1, 500), output, may_miss=3)


class LimitsTest(harness.ClusterTest):
    """A node with a limit of 4 MiB: who sends more is cut, in both protocols."""

    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0, "node_set": {
        "limits.message_bytes": str(LIMIT_BYTES), "publisher_grace_ms": "500"}}

    def setUp(self):
        self.node = self.cluster.origins[0]
        self.good = media.publish(media.clip("small", SECONDS), self.node.url("live/good"), self.cluster.folder, loop=True)
        self.addCleanup(self.good.kill)
        harness.wait_until(lambda: self.frames("live/good") > 20, 10, "the good publisher is there")

    def frames(self, stream):
        return sum(s["frames_in"] for s in self.node.sessions() if s["stream"] == stream and s["kind"] == "publish")

    def errors(self):
        return self.node.metrics().total("headwater_protocol_errors_total")

    def assert_cut(self, port, before, start):
        def lines():
            return [line for line in self.node.log(start).splitlines()
                    if f"peer=127.0.0.1:{port}" in line and " debug " not in line and "msg=publish " not in line]
        harness.wait_until(lines, 5, "a line names the peer")
        self.assertEqual(len(lines()), 1, lines())
        self.assertIn(str(LIMIT_BYTES), lines()[0])
        self.assertEqual(self.errors(), before + 1)
        seen = self.frames("live/good")
        harness.wait_until(lambda: self.frames("live/good") > seen + 20, 10, "the good stream goes on")

    def test_longest_message_of_rtmp(self):
        before, start = self.errors(), self.node.log_size()
        tags = everyone.media_of(flv.read_file(media.clip("small", SECONDS)))[:20]
        tags.append(flv.Tag(flv.VIDEO, tags[-1].ts, b"\x27\x01\0\0\0" + nal(1, MAX_BYTES - 9)))
        publisher = everyone.TagPublisher(self.node.rtmp, "live/huge", [(0, tag) for tag in tags])
        publisher.join(15)
        self.assertTrue(publisher.closed or "NetStream.Publish.Failed" in publisher.session.codes)
        self.assert_cut(publisher.local_port, before, start)

    def test_longest_tag_over_http(self):
        before, start = self.errors(), self.node.log_size()
        tags = everyone.media_of(flv.read_file(media.clip("small", SECONDS)))[:20]
        tags.append(flv.Tag(flv.VIDEO, tags[-1].ts, b"\x27\x01\0\0\0" + nal(1, MAX_BYTES - 9)))
        sock = socket.create_connection(self.node.http, 10)
        self.addCleanup(sock.close)
        file = everyone.flv_file(tags)
        head = f"POST /live/huge.flv HTTP/1.1\r\nHost: x\r\nContent-Length: {len(file)}\r\n\r\n".encode()
        port = sock.getsockname()[1]
        try:
            sock.sendall(head + file)
            answer = sock.recv(4096)
            self.assertRegex(answer[:13], rb"HTTP/1\.1 4\d\d")
        except OSError:
            pass  # cut while it was sending
        self.assert_cut(port, before, start)


if __name__ == "__main__":
    harness.main()
