#!/usr/bin/python3
"""From the camera to the decoded picture: a publisher at an origin, one player at an edge, all on this machine.
README.md says what is measured and how. Prints Markdown; --json FILE also writes the numbers."""

import argparse
import contextlib
import json
import os
import shlex
import statistics
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
os.environ.setdefault("HEADWATER_BIN_DIR", os.path.join(ROOT, ".build", "release", "bin"))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

import bench_proc
import bench_report
import browser
import harness
import hls
import media
import swarm
import websocket
from bench_report import percentile

STREAM = "live/latency"
SEGMENT_S, PART_S = 2, 0.2
ATTEMPTS = 3
BITS, CELL = 16, 20  # of the number in each picture: a cell a bit, white is 1, along the upper edge
NUMBER = (f"testsrc2=size={BITS * CELL}x240:rate=25,format=yuv420p,"
          f"geq=lum='if(lt(Y,16),if(bitand(N,pow(2,floor(X/{CELL}))),235,16),lum(X,Y))'"
          ":cb='if(lt(Y,8),128,cb(X,Y))':cr='if(lt(Y,8),128,cr(X,Y))'")
media.CLIPS["latency"] = ((NUMBER, media.AUDIO), f"{media.H264_PLAIN} -c:a aac -b:a 64k")  # GOPs of 1 s
SENT = struct.Struct("<Iq")  # number of a picture, CLOCK_MONOTONIC in ns


class CameraPublisher(swarm.Publisher):
    """Tells when it hands each picture to its socket."""

    out_fd = None

    def on_due(self):
        if self.closed:
            return None
        elapsed_ms = (time.monotonic() - self.begin_at) * 1000
        while (due_ms := self._due_ms(self.next_frame)) <= elapsed_ms:
            tag = self.clip.frames[self.next_frame]
            if tag.type == swarm.VIDEO:
                os.write(self.out_fd, SENT.pack(self.clip.number_of[self.next_frame], time.monotonic_ns()))
            self._put(tag.type, due_ms, tag.body)
            self.send_now()
            self.next_frame += 1
            if self.next_frame == len(self.clip.frames):
                self.next_frame, self.loop = 0, self.loop + 1
        return self.begin_at + due_ms / 1000


class Camera:
    """The publisher, in a process of its own, and what it says of when it sent."""

    def __init__(self, address):
        clip = swarm.Clip(media.clip("latency"))
        pictures = [i for i, tag in enumerate(clip.frames) if tag.type == swarm.VIDEO]
        clip.number_of = {index: number for number, index in enumerate(pictures)}
        self.n_pictures, self.sent = len(pictures), {}  # number -> times of sending, in order
        read_fd, write_fd = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            self._publish(address, clip, write_fd)
        os.close(write_fd)
        self.reader = threading.Thread(target=self._read, args=(read_fd,), daemon=True)
        self.reader.start()

    @staticmethod
    def _publish(address, clip, fd):
        try:
            with swarm.Swarm() as flock:
                CameraPublisher.out_fd = fd
                CameraPublisher(flock, address, STREAM, clip)
                flock.run(3600)
        finally:
            os._exit(0)

    def _read(self, fd):
        with open(fd, "rb") as pipe:
            while len(data := pipe.read(SENT.size)) == SENT.size:
                number, at_ns = SENT.unpack(data)
                self.sent.setdefault(number, []).append(at_ns / 1e9)

    def sent_before(self, number, at):
        return next((t for t in reversed(self.sent.get(number, [])) if t <= at), None)

    def stop(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


class Decoder:
    """ffmpeg that decodes what is played, one picture at a time; the number of each and when it was there."""

    def __init__(self, form, url="pipe:0"):
        self.seen = []
        self.popen = subprocess.Popen(
            [harness.tool("ffmpeg"), "-v", "error", "-fflags", "nobuffer", "-flags", "low_delay", "-threads", "1",
             "-analyzeduration", "500000", "-f", form, "-i", url, "-an", "-fps_mode", "passthrough",
             "-vf", f"crop={BITS * CELL}:8:0:4,scale={BITS}:1:flags=area,format=gray", "-f", "rawvideo",
             "-flush_packets", "1", "pipe:1"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        row = b""
        while data := self.popen.stdout.read(BITS - len(row)):
            row += data
            if len(row) == BITS:
                self.seen.append((sum(1 << bit for bit, luma in enumerate(row) if luma > 127), time.monotonic()))
                row = b""

    def write(self, data):
        self.popen.stdin.write(data)

    def stop(self):
        self.popen.kill()
        self.popen.wait()
        self.thread.join()
        self.popen.stdin.close()
        self.popen.stdout.close()


class Player:
    """A form of playing: feed() runs until over is set."""

    name, limits = None, {}      # {percentile: ms}
    form, may_miss = "flv", 0.0  # of ffmpeg; share of the pictures
    settle_s = 1                 # before what is measured

    def __init__(self, edge):
        self.edge, self.over, self.error = edge, threading.Event(), None

    def run(self, seconds):
        """[(number, when it was decoded)]"""
        self.decoder = Decoder(self.form, *self.direct_url())
        thread = threading.Thread(target=self._feed, daemon=True)
        thread.start()
        self.over.wait(seconds)
        self.over.set()
        self.decoder.stop()
        thread.join(20)
        if self.error:
            raise AssertionError(repr(self.error))
        return self.decoder.seen

    def direct_url(self):
        return ()

    def _feed(self):
        try:
            self.feed()
        except Exception as error:
            if not self.over.is_set():  # else its own end
                self.error = error
                self.over.set()

    def feed(self):
        pass


class Rtmp(Player):
    name, limits = "RTMP", {50: 60, 99: 120}

    def direct_url(self):
        return (self.edge.url(STREAM),)


class HttpFlv(Player):
    name, limits = "HTTP-FLV", {50: 60, 99: 120}

    def direct_url(self):
        return (self.edge.url(STREAM, "http"),)


class WsFlv(Player):
    name, limits = "WS-FLV", {50: 60, 99: 120}

    def feed(self):
        ws = websocket.WebSocket(self.edge.http, f"/{STREAM}.flv").open()
        while not self.over.is_set():
            opcode, payload = ws.frame()
            if opcode == websocket.BINARY:
                self.decoder.write(payload)
        ws.close()


class Hls(Player):
    """Each segment as soon as a player that polls as RFC 8216 (6.3.4) says can know of it."""

    name, form, limits = f"HLS, segments of {SEGMENT_S} s", "mp4", {99: (2 * SEGMENT_S + 1) * 1000}

    def feed(self):
        client = hls.Client(self.edge.http, STREAM)
        playlist = client.media()
        msn = playlist.next_msn
        self.decoder.write(self.piece(client, playlist.maps[0]))
        while not self.over.is_set():
            asked_at = time.monotonic()
            playlist = client.media()
            new = [s["uri"] for s in playlist.segments[max(0, msn - playlist.media_sequence):]]
            for name in new:
                self.decoder.write(self.piece(client, name))
            msn = playlist.next_msn
            self.over.wait(asked_at + playlist.target * (1 if new else 0.5) - time.monotonic())

    @staticmethod
    def piece(client, name):
        status, _, body = client.piece(name)
        if status != 200:
            raise AssertionError(f"{name}: {status}")
        return body


class LowLatencyHls(Hls):
    """Each part, by blocking reloads, from the begin of a segment on."""

    name, limits = f"LL-HLS, parts of {1000 * PART_S:.0f} ms", {99: 1200}

    def feed(self):
        client = hls.Client(self.edge.http, STREAM)
        playlist = client.media()
        msn, part = playlist.next_msn + 1, 0
        self.decoder.write(self.piece(client, playlist.maps[0]))
        while not self.over.is_set():
            playlist = client.media(msn=msn, part=part)
            at = msn - playlist.media_sequence
            is_whole = at < len(playlist.segments)
            parts = playlist.segments[at]["parts"] if is_whole else playlist.parts
            for _, name in parts[part:]:
                self.decoder.write(self.piece(client, name))
            msn, part = (msn + 1, 0) if is_whole else (msn, len(parts))


class Browser(Player):
    """A player in Chromium, with the buffer that it holds; when pictures are shown."""

    suffix, may_miss = None, 0.2  # it shows what the screen has time for
    settle_s = 6                  # hls.js goes a little faster until it is where it wants to be

    def run(self, seconds):
        browser.install()
        url = self.edge.url(STREAM, "http").removesuffix(".flv") + self.suffix
        begin = time.time() - time.monotonic()
        done = subprocess.run([harness.tool("node"), "play.js", "--numbers", str(BITS), "--seconds", str(seconds), url],
                              cwd=browser.FOLDER, capture_output=True, text=True, timeout=seconds + 60)
        if done.returncode:
            faults = [result["faults"] for result in json.loads(done.stdout or '{"results": []}')["results"]]
            raise AssertionError(f"{faults} {done.stderr[-1000:]}")
        return [(number, at_ms / 1000 - begin) for number, at_ms in json.loads(done.stdout)["results"][0]["shown"]]


class BrowserFlv(Browser):
    name, suffix = "Chromium, mpegts.js, HTTP-FLV", ".flv"


class BrowserHls(Browser):
    name, suffix = f"Chromium, hls.js, segments of {SEGMENT_S} s", ".m3u8#normal"


class BrowserLowLatencyHls(Browser):
    name, suffix, limits = f"Chromium, hls.js, parts of {1000 * PART_S:.0f} ms", ".m3u8", {99: 1200}


PLAYERS = {"rtmp": Rtmp, "http-flv": HttpFlv, "ws-flv": WsFlv, "hls": Hls, "ll-hls": LowLatencyHls,
           "browser-flv": BrowserFlv, "browser-hls": BrowserHls, "browser-ll-hls": BrowserLowLatencyHls}


def check_clip(n_pictures):
    """Numbers and pictures of the clip belong together. ffmpeg leaves out what it analyses first."""
    decoder = Decoder("flv", media.clip("latency"))
    decoder.thread.join(20)
    decoder.stop()
    numbers = [number for number, _ in decoder.seen]
    if numbers != list(range(n_pictures - len(numbers), n_pictures)) or len(numbers) < n_pictures // 2:
        raise AssertionError(f"the clip of {n_pictures} pictures shows {numbers[:5]} to {numbers[-5:]}")


def latencies_ms(camera, seen, since):
    """Of the pictures that were sent while the player was there, and how many of them are missing."""
    found, numbers = [], []
    for number, at in seen:
        sent = camera.sent_before(number, at)
        if sent is not None and sent >= since:
            found.append((at - sent) * 1000)
            numbers.append(number)
    missing = sum((b - a - 1) % camera.n_pictures for a, b in zip(numbers, numbers[1:]))
    return found, missing


def measure(camera, kind, edge, seconds):
    """One run of one player: p50, p99 and the longest in ms, and how many pictures."""
    begin, player = time.monotonic(), PLAYERS[kind](edge)
    seen = player.run(seconds + player.settle_s)
    found, missing = latencies_ms(camera, seen, begin + player.settle_s)
    if len(found) < 10 or missing > player.may_miss * len(found):
        raise AssertionError(f"{len(found)} pictures, {missing} missing")
    return {"p50": percentile(found, 50), "p99": percentile(found, 99), "max": max(found), "n": len(found)}


def attempt(camera, kind, edge, seconds, invalid):
    """The figures of a run that counts; the last of three that do not ends the program."""
    for left in reversed(range(ATTEMPTS)):
        try:
            return measure(camera, kind, edge, seconds)
        except AssertionError as reason:
            invalid.append(f"{PLAYERS[kind].name}: {reason}")
            if not left:
                raise
    return None


def run_rounds(args, camera, edge, invalid):
    """{player: [figures of a round]}; every other round in reverse order, so that a drift hits all alike."""
    found = {kind: [] for kind in args.player}
    for number in range(args.rounds):
        for kind in args.player if number % 2 == 0 else reversed(args.player):
            figures = attempt(camera, kind, edge, args.seconds, invalid)
            found[kind].append(figures)
            print(f"  {number + 1}/{args.rounds}: {PLAYERS[kind].name}: p50 {figures['p50']:.0f} ms,"
                  f" p99 {figures['p99']:.0f} ms of {figures['n']}", file=sys.stderr, flush=True)
    return found


def cell(rounds, key):
    values = [one[key] for one in rounds]
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


def show(found):
    """The table. True when every target is met by the median of the rounds."""
    rows, good = [], True
    for kind, rounds in found.items():
        limits = PLAYERS[kind].limits
        met = all(statistics.median(one[f"p{q}"] for one in rounds) < limit for q, limit in limits.items())
        good = good and met
        target = ", ".join(f"p{q} < {limit}" for q, limit in limits.items())
        rows.append((PLAYERS[kind].name, sum(one["n"] for one in rounds),
                     *(cell(rounds, key) for key in ("p50", "p99", "max")), target or "none", "ok" if met else "MISSED"))
    head = ("player", "pictures", "p50 ms", "p99 ms", "longest ms", "target", "verdict")
    print(bench_report.markdown_table(head, rows))
    return good


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("player", nargs="*", metavar="player", help=f"of {', '.join(PLAYERS)}; all when none is named")
    parser.add_argument("--rounds", type=int, default=9, help="each runs every player once")
    parser.add_argument("--seconds", type=float, default=20, help="of a run")
    parser.add_argument("--quick", action="store_true", help="one round of 8 s: does the bench itself work?")
    parser.add_argument("--json", metavar="FILE", help="write the numbers here")
    args = parser.parse_args()
    if set(args.player) - set(PLAYERS):
        parser.error(f"players are {', '.join(PLAYERS)}")
    args.player = args.player or list(PLAYERS)
    if args.quick:
        args.rounds, args.seconds = 1, 8
    return args


def main():
    args = parse()
    cores = sorted(os.sched_getaffinity(0))
    print(f"`{shlex.join(sys.argv)}` on {len(cores)} cores, {harness.BIN_DIR}: {args.rounds} rounds of"
          f" {args.seconds:g} s, {time.strftime('%Y-%m-%d %H:%M')}\n", flush=True)
    with bench_proc.pinned({cores[-1]}):  # the nodes; camera and players are on the other core
        cluster = harness.Cluster(origins=1, edges=1, node_set={
            "latency": "realtime", "loops": "1", "hls.segment_ms": str(1000 * SEGMENT_S),
            "hls.part_ms": f"{1000 * PART_S:.0f}"})
        cluster.__enter__()
    invalid = []
    with contextlib.ExitStack() as stack, bench_proc.pinned({cores[0]}):
        stack.push(cluster)
        camera = Camera(cluster.origins[0].rtmp)
        stack.callback(camera.stop)
        check_clip(camera.n_pictures)
        cluster.wait_route(STREAM)
        client = hls.Client(cluster.edges[0].http, STREAM)  # HLS is made while somebody asks for it
        harness.wait_until(lambda: client.media().segments, 20, "segments", step_s=0.2)
        found = run_rounds(args, camera, cluster.edges[0], invalid)
    if args.json:
        bench_report.write(args.json, json.dumps(found, indent=1))
    good = show(found)
    print(f"\nRuns that did not count: {len(invalid)}.", *(f"\n- {why}" for why in invalid))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
