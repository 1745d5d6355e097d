"""Every output of one stream, from its first frame to its last, against the clip that was published: it decodes
without an error to the same pictures and sounds, and every frame has its time to the tick. test_timing.py does it
for ten seconds, test_timing_long.py for a minute."""

import os
import threading
from fractions import Fraction

import harness
import hls
import media
from mpegts import CLOCK, PACKET, TsReader
from outputs import FORMS, Player, decode, packets, run_tool

# What the PMT says of each clip's tracks
STREAM_TYPES = {"h264_aac": {"video": 0x1B, "audio": 0x0F}, "h264_mp3": {"video": 0x1B, "audio": 0x03},
                "audio_only": {"audio": 0x0F}, "video_only": {"video": 0x1B}}
PCR_STEP_MS = 40                      # ISO 13818-1 allows 100
PSI_STEP_MS = 500                     # ETSI TR 101 290
JITTER_MS = 1000 / CLOCK              # a tick
LEAD_MS = (0, 1000)                   # of the dts over the PCR: more is the delay of every receiver


def decoded(path):
    """{stream: [hash]} of the pictures and sounds that ffmpeg decodes, in order."""
    text = run_tool("ffmpeg", "-xerror", "-err_detect", "explode", "-i", path, "-map", "0", "-fps_mode",
                    "passthrough", "-enc_time_base:v", "-1", "-f", "framemd5", "-")
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            fields = [field.strip() for field in line.split(",")]
            found.setdefault(fields[0], []).append(fields[5])
    return found


class HlsGatherer(threading.Thread):
    """Takes every segment of a stream from the first to the last, whole, under their names. query: of each
    playlist."""

    def __init__(self, address, stream, container, query=""):
        super().__init__(daemon=True)
        self.client = hls.Client(address, stream, container)
        self.path = self.client.media_path() + (f"?{query}" if query else "")
        self.container, self.name = container, f"HLS {container} of {stream}"
        self.segments, self.inits, self.error, self.ended = {}, {None: b""}, None, False
        self.over = threading.Event()
        self.start()

    def run(self):
        try:
            while not self.over.is_set() and not self.ended:
                self._look()
                self.over.wait(0.2)
        except Exception as error:  # told by whoever joins the thread
            self.error = error

    def _look(self):
        status, _, body = self.client.get(self.path)
        if status != 200:
            return
        playlist = hls.Playlist(body.decode())
        era = playlist.discontinuity_sequence
        for msn, segment in enumerate(playlist.segments, playlist.media_sequence + playlist.skipped):
            era += segment["discontinuity"]
            if msn not in self.segments:
                self._init(segment["map"])
                self.segments[msn] = {**segment, "era": era, "bytes": self._piece(segment["uri"])}
        self.ended = playlist.ended

    def _init(self, name):
        if name not in self.inits:
            self.inits[name] = self._piece(name)

    def _piece(self, name):
        status, _, body = self.client.piece(name)
        if status != 200:
            raise AssertionError(f"{self.name}: {name}: {status}")
        return body

    def end(self, timeout_s):
        """Waits for the end of the stream. Returns all of it, an init section wherever another one holds."""
        return b"".join(self.end_in_runs(timeout_s))

    def end_in_runs(self, timeout_s):
        """The same in pieces, each from one discontinuity or init section to the next."""
        self.join(timeout_s)
        self.over.set()
        self.join(10)
        if self.error or not self.ended:
            raise AssertionError(f"{self.name}: {self.error!r}, ended {self.ended}")
        numbers = sorted(self.segments)
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise AssertionError(f"{self.name}: segments {numbers}")
        runs, init = [], None
        for msn in numbers:
            segment = self.segments[msn]
            if not runs or segment["discontinuity"] or segment["map"] != init:
                runs.append(b"" if segment["map"] == init else self.inits[segment["map"]])
                init = segment["map"]
            runs[-1] += segment["bytes"]
        return runs


class Timing(harness.ClusterTest):
    """Players at an edge; the stream comes from an origin."""

    seconds, kind = None, "h264_aac"  # of the clip
    hls_versions = 1                  # of the tables of TS in segments
    stream = "live/whole"
    cluster_args = {"origins": 1, "edges": 1, "node_set": {
        "publisher_grace_ms": "600", "play_wait_ms": "20000", "hls.mode": "always"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clip = media.clip(cls.kind, cls.seconds)
        cls.want, _ = packets(cls.clip)
        cls.want_hashes = decoded(cls.clip)
        cls.paths = cls.gather()

    @classmethod
    def gather(cls):
        """{output: path} of all that players of each output got."""
        edge, folder = cls.cluster.edges[0], cls.cluster.folder
        players = {f"{'ws' if ws else 'http'}-{form}": Player(edge.http, cls.stream, form, ws)
                   for form in FORMS for ws in (False, True)}
        harness.wait_until(lambda: sum(s["kind"] == "waiting" for s in edge.sessions()) == len(players), 10,
                           "all wait")
        publisher = media.publish(cls.clip, cls.cluster.origins[0].url(cls.stream), folder)
        gatherers = {f"hls-{c}": HlsGatherer(edge.http, cls.stream, c) for c in ("ts", "fmp4")}
        paths = {}
        try:
            for name, player in {**players, **gatherers}.items():
                got = player.end(cls.seconds + 30)
                paths[name] = os.path.join(folder, f"{name}.bin")
                with open(paths[name], "wb") as file:
                    file.write(got if isinstance(got, bytes) else got.bytes)
        finally:
            publisher.kill()
        return paths

    def check_times(self, got, tick):
        """One constant for both tracks: sound and pictures stay together."""
        self.assertEqual(set(got), set(self.want))
        track = next(iter(self.want))
        shift = got[track][0][0] - self.want[track][0][0]
        for kind, due in self.want.items():
            self.assertEqual(len(got[kind]), len(due), kind)
            for i, (have, want) in enumerate(zip(got[kind], due)):
                for name, a, b in zip(("dts", "pts"), have, want):
                    self.assertLessEqual(abs(a - b - shift), tick, f"{kind} packet {i} {name}")

    def check_file(self, name):
        """ffmpeg's judgement: not one error, every picture and sound, each at its time."""
        path = self.paths[name]
        decode(path)
        self.assertEqual(decoded(path), self.want_hashes)
        got, ticks = packets(path)
        self.check_times(got, max(ticks.values()))

    def check_ts(self, name):
        """The packets themselves, and their stamps, without ffmpeg."""
        reader = self.reading(name)
        self.assertEqual(reader.problems, [])
        types = STREAM_TYPES[self.kind]
        self.assertEqual(sorted(reader.streams.values()), sorted(types.values()))
        self.assertEqual(len(reader.versions), self.hls_versions if name == "hls-ts" else 1, "versions of the tables")
        pids = {kind: reader.pids([type_id])[0] for kind, type_id in types.items()}
        self.assertEqual(reader.pcr_pid, pids.get("video", pids.get("audio")))
        self.check_times({kind: [(Fraction(dts, CLOCK), Fraction(pts, CLOCK)) for dts, pts in reader.packets(pid)]
                          for kind, pid in pids.items()}, Fraction(1, CLOCK))
        self.check_clock(reader)

    def reading(self, name, change=lambda packets: packets):
        """What the reader says of an output's packets, changed on purpose or not."""
        with open(self.paths[name], "rb") as file:
            data = file.read()
        reader = TsReader()
        reader.feed(b"".join(change([data[at:at + PACKET] for at in range(0, len(data), PACKET)])))
        return reader.finish()

    def check_clock(self, reader):
        steps = reader.pcr_steps_ms()
        self.assertGreater(min(steps), 0, "the PCR goes on")
        self.assertLessEqual(max(steps), PCR_STEP_MS)
        self.assertFalse(any(p.jump for p in reader.pcrs))
        self.assertLessEqual(reader.pcr_jitter_ms(), JITTER_MS)
        leads = reader.leads_ms()
        self.assertTrue(LEAD_MS[0] <= min(leads) and max(leads) <= LEAD_MS[1], (min(leads), max(leads)))
        self.assertLessEqual(max(reader.psi_steps_ms()), PSI_STEP_MS)
        self.assertLessEqual(reader.pats[0], 1, "tables come first")

    def test_http_flv(self):
        self.check_file("http-flv")

    def test_ws_flv(self):
        self.check_file("ws-flv")

    def test_http_ts(self):
        self.check_file("http-ts")
        self.check_ts("http-ts")

    def test_ws_ts(self):
        self.check_file("ws-ts")
        self.check_ts("ws-ts")

    def test_http_fmp4(self):
        self.check_file("http-mp4")

    def test_ws_fmp4(self):
        self.check_file("ws-mp4")

    def test_hls_ts(self):
        self.check_file("hls-ts")
        self.check_ts("hls-ts")

    def test_hls_fmp4(self):
        self.check_file("hls-fmp4")

    def test_the_reader_sees_what_is_broken(self):
        good = self.reading("http-ts")
        clock = next(p.at for p in good.pcrs if p.at > 100)
        late = [good.pcrs[i].at for i in (3, 4)]

        def flipped(packets, at, byte):
            packet = bytearray(packets[at])
            packet[byte] ^= 1
            return [*packets[:at], bytes(packet), *packets[at + 1:]]

        cases = {"a lost packet": lambda p: p[:50] + p[51:], "a doubled packet": lambda p: p[:50] + p[49:],
                 "a changed table": lambda p: flipped(p, good.pmts[1], 20),
                 "a broken head": lambda p: flipped(p, 60, 0)}
        for what, change in cases.items():
            self.assertTrue(self.reading("http-ts", change).problems, what)
        self.assertGreater(self.reading("http-ts", lambda p: flipped(p, clock, 8)).pcr_jitter_ms(), JITTER_MS)
        self.assertGreater(max(self.reading("http-ts", lambda p: [
            packet for at, packet in enumerate(p) if at not in late]).pcr_steps_ms()), PCR_STEP_MS)
        self.assertGreater(max(self.reading("http-ts", lambda p: [
            packet for at, packet in enumerate(p) if at not in good.pats[1:3]]).psi_steps_ms()), PSI_STEP_MS)
