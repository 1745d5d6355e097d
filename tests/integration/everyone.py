"""A stream of tags that a test made, published in real time, and all that players of every output get of it."""

import json
import os
import select
import socket
import struct
import threading
import time
from fractions import Fraction

import flv
import harness
import outputs
import rtmp
import timing
from mpegts import CLOCK, PACKET, TsReader

ENHANCED = {"fourCcList": ["*"], "capsEx": 0}
END_CODES = ("NetStream.Play.UnpublishNotify", "NetStream.Play.Failed", "NetStream.Play.StreamNotFound")
HLS = {"ts": "hls-ts", "mp4": "hls-fmp4"}
NODE_SET = {"publisher_grace_ms": "600", "play_wait_ms": "20000", "hls.mode": "always", "hls.segment_ms": "1000",
            "hls.window_s": "60"}


class RtmpThread(threading.Thread):
    """A client of its own: subclasses say in step() what they do once it runs, and return True at the end."""

    def __init__(self, kind, address, stream):
        super().__init__(daemon=True)
        app, name = stream.rsplit("/", 1)
        self.session = rtmp.RtmpSession(kind, "%s:%d" % address, app, name)
        self.sock, self.error, self.closed = socket.create_connection(address, 20), None, False
        self.local_port = self.sock.getsockname()[1]
        self.name = f"RTMP {kind} of {stream}"

    def run(self):
        try:
            while not self.closed and not (self.session.state == "running" and self.step()):
                self._exchange(0.005)
        except OSError as error:
            self.closed, self.error = True, error
        except Exception as error:  # told by whoever joins the thread
            self.error = error
        self.sock.close()

    def _exchange(self, wait_s):
        if self.session.out:
            self.sock.sendall(self.session.out)
            self.session.out.clear()
        if select.select([self.sock], [], [], wait_s)[0]:
            data = self.sock.recv(262144)
            self.closed = not data
            if data:
                self.session.feed(data)

    def step(self):
        raise NotImplementedError


class TagPublisher(RtmpThread):
    """tags: [(when in ms, flv.Tag)]. Says goodbye behind the last one."""

    def __init__(self, address, stream, tags):
        super().__init__("publish", address, stream)
        self.tags, self.at, self.begin = tags, 0, None
        self.start()

    def step(self):
        self.begin = self.begin or time.monotonic()
        now_ms = (time.monotonic() - self.begin) * 1000
        while self.at < len(self.tags) and self.tags[self.at][0] <= now_ms:
            tag = self.tags[self.at][1]
            self.session.out += rtmp.message(tag.type, tag.ts, self.session.stream_id, tag.body, 4)
            self.at += 1
        if self.at < len(self.tags):
            return False
        self.session.out += rtmp.command("FCUnpublish", 6, None, self.session.name)
        self.session.out += rtmp.command("deleteStream", 7, None, self.session.stream_id)
        self._exchange(0.2)
        return True


class RtmpPlayer(RtmpThread):
    def __init__(self, address, stream, **announced):
        super().__init__("play", address, stream)
        self.tags = []
        self.session.connect_more = announced
        self.session.on_media = lambda kind, ts, body: self.tags.append(flv.Tag(kind, ts, body))
        self.start()

    def step(self):
        return any(code in END_CODES for code in self.session.codes)

    def end(self, timeout_s=20):
        self.join(timeout_s)
        if self.is_alive() or self.error:
            raise AssertionError(f"{self.name}: {self.error!r}, codes {self.session.codes}")
        return self


class Everyone:
    """Players of each output at a node, there before the stream; end() gives what they got."""

    def __init__(self, node, stream, query=""):
        self.node, self.stream, self.query, self.hls = node, stream, query, {}
        self.players = {(form, ws): outputs.Player(node.http, stream, form, ws, query)
                        for form in outputs.FORMS for ws in (False, True)}
        self.rtmp = RtmpPlayer(node.rtmp, f"{stream}?{query}" if query else stream, **ENHANCED)
        harness.wait_until(lambda: sum(s["stream"] == stream for s in node.sessions()) == len(self.players) + 1,
                           10, "all wait")

    def watch_hls(self):
        """Once the stream is there."""
        self.hls = {form: timing.HlsGatherer(self.node.http, self.stream, container, self.query)
                    for form, container in (("ts", "ts"), ("mp4", "fmp4"))}

    def end(self, timeout_s=40):
        """{output: bytes}; what came over RTMP as a FLV file. Both ways of a form are one: the same bytes."""
        got = {}
        for (form, ws), player in self.players.items():
            player.end(timeout_s)
            if ws and bytes(player.bytes) != got[form]:
                raise AssertionError(f"{form} of {self.stream}: other bytes over a WebSocket")
            got[form] = bytes(player.bytes)
        self.rtmp.end(timeout_s)
        got["rtmp"] = flv_file(media_of(self.rtmp.tags))
        self.runs = {HLS[form]: gatherer.end_in_runs(timeout_s) for form, gatherer in self.hls.items()}
        return {**got, **{output: b"".join(runs) for output, runs in self.runs.items()}}


def play_all(cluster, stream, query, tags):
    """An origin takes [(when, tag)], everybody plays at an edge. Returns the Everyone and what end() says."""
    node = (cluster.edges or cluster.origins)[0]
    everyone = Everyone(node, stream, query)
    publisher = TagPublisher(cluster.origins[0].rtmp, stream, tags)
    harness.wait_until(lambda: publisher.at > 10 or publisher.error, 10, "publishes")
    everyone.watch_hls()
    publisher.join(tags[-1][0] / 1000 + 30)
    if publisher.error or publisher.closed or publisher.is_alive():
        raise AssertionError(f"publisher: {publisher.error!r}, {publisher.session.statuses}")
    return everyone, everyone.end()


def play_at_once(cluster, streams):
    """{stream or stream?query: what play_all() returns}; streams: {the same: tags}. One error is told for all."""
    found, errors = {}, []

    def run(stream, tags):
        try:
            found[stream] = play_all(cluster, *stream.partition("?")[::2], tags)
        except Exception as error:
            errors.append((stream, error))

    threads = [threading.Thread(target=run, args=item) for item in streams.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise AssertionError(f"{errors}")
    return found


def flv_file(tags):
    out = bytearray(b"FLV\x01\x05\0\0\0\x09\0\0\0\0")
    for kind, ts, body in tags:
        head = struct.pack(">BBHBHB", kind, len(body) >> 16, len(body) & 0xFFFF, ts >> 16 & 255, ts & 0xFFFF,
                           ts >> 24 & 255) + b"\0\0\0"
        out += head + body + struct.pack(">I", len(head) + len(body))
    return bytes(out)


def in_time(tags, start_ms=0):
    """[(when, tag)] of tags at their own times, moved."""
    return [(tag.ts, tag._replace(ts=tag.ts + start_ms & 0xFFFFFFFF)) for tag in tags]


def media_of(tags):
    """Without script data, and what ends a file."""
    return [tag for tag in tags if tag.type != flv.SCRIPT and not flv.is_sequence_end(tag.type, tag.body)]


def is_frame(tag):
    """Neither a header, nor the end of a sequence, nor what Enhanced RTMP says of colours and channels."""
    if tag.type == flv.AUDIO and tag.body[0] >> 4 == 9:
        return tag.body[0] & 15 == 1
    if tag.body[0] & 0x80 and tag.type == flv.VIDEO:
        return tag.body[0] & 15 in (1, 3)
    return not flv.is_sequence_header(tag.type, tag.body)


def frames_of(tags):
    return [tag for tag in media_of(tags) if is_frame(tag)]


def composition_ms(tag):
    """Of a picture: how far it is shown behind its dts. FLV E.4.3.1; E-RTMP's CodedFrames of AVC and HEVC."""
    if tag.type != flv.VIDEO:
        return 0
    if not tag.body[0] & 0x80:
        return struct.unpack(">i", tag.body[2:5] + b"\0")[0] >> 8
    if tag.body[0] & 15 == 1 and tag.body[1:5] in (b"hvc1", b"avc1"):
        return struct.unpack(">i", tag.body[5:8] + b"\0")[0] >> 8
    return 0


def times_of(tags):
    """{"video" | "audio": [(dts, pts)]} in seconds; 32 bits of ms unwrapped."""
    found, last = {}, {}
    for tag in frames_of(tags):
        ts = tag.ts
        near = last.get(tag.type, ts)
        ts += round((near - ts) / (1 << 32)) << 32
        last[tag.type] = ts
        kind = "video" if tag.type == flv.VIDEO else "audio"
        found.setdefault(kind, []).append((Fraction(ts, 1000), Fraction(ts + composition_ms(tag), 1000)))
    return found


def times_of_ts(data):
    """The same of a transport stream; AssertionError when the reader stumbles."""
    reader = TsReader()
    reader.feed(data)
    reader.finish()
    if reader.problems:
        raise AssertionError(f"TS: {reader.problems}")
    found = {}
    for pes in reader.pes:
        kind = "video" if pes.stream_id & 0xF0 == 0xE0 else "audio"
        found.setdefault(kind, []).append((Fraction(pes.dts, CLOCK), Fraction(pes.pts, CLOCK)))
    return found, reader


def pieces_of_ts(data):
    """One for each version of the PMT, from the PAT in front of it on."""
    reader, starts = TsReader(), []
    for at in range(0, len(data), PACKET):
        n_versions = len(reader.versions)
        reader.feed(data[at:at + PACKET])
        if len(reader.versions) > n_versions:
            starts.append(reader.pats[-1] * PACKET if starts else 0)
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)])]


def pieces_of_mp4(data):
    """One for each init section."""
    starts, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"ftyp" or kind == b"moov" and (not starts or b"moov" in seen):
            starts.append(at)
            seen = set()
        seen.add(kind)
        at += size
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)])]


def shown(path):
    """{codec: [number of decoded frames, sizes or rates]} of a file, as ffprobe decodes it."""
    text = outputs.run_tool("ffprobe", "-of", "json", "-show_frames", "-show_streams", "-show_entries",
                            "stream=index,codec_name:frame=stream_index,media_type,width,height", path)
    found = json.loads(text)
    names = {s["index"]: s["codec_name"] for s in found["streams"]}
    result = {}
    for frame in found["frames"]:
        seen = result.setdefault(names[frame["stream_index"]], [0, set()])
        seen[0] += 1
        if frame["media_type"] == "video":
            seen[1].add((frame["width"], frame["height"]))
    return result


def save(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def assert_times(want, got, tick, where, shift=None, may_miss=0):
    """One constant for all tracks. Returns it. may_miss: frames of sound in front of the first key frame, which
    nobody begins with."""
    if set(want) != set(got):
        raise AssertionError(f"{where}: tracks {sorted(got)}, {sorted(want)} are due")
    for kind, due in want.items():
        have = got[kind]
        if kind == "audio" and 0 < len(due) - len(have) <= may_miss:
            due = due[len(due) - len(have):]
        if len(have) != len(due):
            raise AssertionError(f"{where}: {len(have)} packets of {kind}, {len(due)} are due")
        shift = have[0][0] - due[0][0] if shift is None else shift
        for i, (a, b) in enumerate(zip(have, due)):
            if abs(a[0] - b[0] - shift) > tick or abs(a[1] - b[1] - shift) > tick:
                raise AssertionError(f"{where}: {kind} packet {i} at {float(a[0]):.6f}/{float(a[1]):.6f} s, due"
                                     f" {float(b[0] + shift):.6f}/{float(b[1] + shift):.6f} s")
    return shift


def assert_goes_on(times, where, longest_step_s):
    """No track goes backwards, or makes a longer step."""
    for kind, track in times.items():
        steps = [float(b[0] - a[0]) for a, b in zip(track, track[1:])]
        if min(steps) < 0 or max(steps) > longest_step_s:
            raise AssertionError(f"{where}: {kind} makes steps of {min(steps):.3f} to {max(steps):.3f} s")
