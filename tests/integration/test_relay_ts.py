"""Pulls of MPEG-TS over HTTP: from a server that sends what ffmpeg muxes, from another node, and from nginx, with
every codec that such streams bring, from the middle of a GOP, and again after it has ended."""

import os
import subprocess
import threading
import time

import harness
import media
import relays
import swarm
from test_cluster import until_playing

NGINX_CONF = """
{user}
daemon off;
worker_processes 1;
error_log {folder}/nginx.log info;
pid {folder}/nginx-http.pid;
events {{ }}
http {{
    access_log off;
    types {{ video/mp2t ts; }}
    server {{
        listen 127.0.0.1:{port};
        root {root};
        limit_rate {rate};
    }}
}}
"""


def ffmpeg(*arguments):
    subprocess.run([harness.tool("ffmpeg"), "-nostdin", "-v", "error", "-y", *arguments], check=True)


def make_ts(path, out, *flags):
    """A clip as ffmpeg muxes it, its frames as they are. Sound is in its place among the pictures: by itself ffmpeg
    puts what belongs to up to 0.3 s into one packet, which so comes after younger pictures."""
    ffmpeg("-i", path, "-map", "0", "-c", "copy", "-pes_payload_size", "0", *flags, "-f", "mpegts", out)
    return out


class TsServer:
    """Sends a file to each that asks, in about the time that it takes to play; then closes. skip: bytes of its
    beginning that are left out. hold: what sends waits for this event."""

    def __init__(self, path, seconds, skip=0, content_type="video/mp2t"):
        with open(path, "rb") as file:
            self.data = file.read()[skip:]
        self.seconds, self.content_type = seconds, content_type
        self.heads, self.hold = [], None
        self.listener = harness.Listener(self._serve)
        self.close = self.listener.close

    def url(self, path):
        return f"http://127.0.0.1:{self.listener.port}/{path}"

    def _serve(self, peer):
        try:
            self.heads.append(harness.read_head(peer))
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: " + self.content_type.encode() + b"\r\n\r\n")
            started, sent = time.monotonic(), 0
            while sent < len(self.data):
                due = min(len(self.data), int((time.monotonic() - started + 0.3) / self.seconds * len(self.data)))
                peer.sendall(self.data[sent:due])
                sent = due
                time.sleep(0.01)
            if self.hold:
                self.hold.wait(60)
        except OSError:
            pass  # the node has left
        peer.close()


class TsTest(relays.RelayTest):
    def file(self, name):
        return os.path.join(self.cluster.folder, name)

    def serve(self, path, seconds, **more):
        server = TsServer(path, seconds, **more)
        self.addCleanup(server.close)
        return server

    def pull_from(self, url, stream="live/a", node=None, **more):
        return self.tell("pulls", node=node, stream=stream, urls=[url], **more)

    def packets(self, url, seconds, name):
        """What ffmpeg gets there while the source lasts: framemd5 in milliseconds."""
        out = self.file(f"{name}.md5")
        player = media.play_md5(url, out, self.cluster.folder, name)
        try:
            harness.wait_until(lambda: player.popen.poll() is not None, seconds + 20, "the stream ends")
        finally:
            player.stop()
        return media.read_md5(out)

    def test_frames_and_times_are_those_of_the_source(self):
        """H.264 with B-frames and AAC: byte for byte, the last ones included."""
        clip = media.clip("h264_aac", 5)
        server = self.serve(make_ts(clip, self.file("exact.ts")), 5)
        self.pull_from(server.url("exact.ts?key=s3cret"), retry=1)
        played = self.packets(self.node.url("live/a", "http"), 5, "exact")
        published = media.file_md5(clip)
        self.assertEqual(set(played), {"video", "audio"})
        for kind, least in (("video", 100), ("audio", 180)):
            want, got = published[kind], played[kind]
            self.assertGreater(len(got), least)
            by_time = {pts: (dts, md5) for dts, pts, md5 in want}
            shift = want[-1][1] - got[-1][1]
            for dts, pts, md5 in got:
                near = [t for t in (pts + shift - 1, pts + shift, pts + shift + 1) if t in by_time]
                self.assertTrue(near, (kind, pts, shift))
                if kind == "audio":
                    self.assertEqual(by_time[near[0]][1], md5)
                self.assertAlmostEqual(by_time[near[0]][0], dts + shift, delta=1)
            self.assertEqual(len(got), len(want) - [p[1] for p in want].index(
                min(by_time, key=lambda t: abs(t - got[0][1] - shift))), "none is missing between the first and the end")
        self.assertNotIn("s3cret", self.node.log())

    def test_source_that_begins_inside_a_gop_is_seen_from_its_first_key_frame(self):
        path = make_ts(media.clip("small"), self.file("middle.ts"))
        size = os.path.getsize(path)
        server = self.serve(path, 9, skip=int(size * 0.05) // 188 * 188 + 77, content_type="application/octet-stream")
        self.pull_from(server.url("cam.ts"))
        with swarm.Swarm() as flock:
            viewers = [flock.play_flv(self.node.http, "live/a"), flock.play_rtmp(self.node.rtmp, "live/a")]
            until_playing(flock, viewers)
            self.assert_clean(*viewers)
            self.assertTrue(all(viewer.log.first_is_key for viewer in viewers))
            session, = [s for s in self.node.sessions() if s["kind"] == "pull"]
            self.assertEqual((session["protocol"], session["stream"]), ("http", "live/a"))

    def test_source_that_ends_or_freezes_is_asked_again_and_time_goes_on(self):
        node = self.make_peer(relay__allow_private_targets="true", upstream_stall_ms="1000")
        server = self.serve(make_ts(media.clip("small", 6), self.file("short.ts")), 6)
        self.pull_from(server.url("cam"), node=node, mode="always")
        with swarm.Swarm() as flock:
            viewer = flock.play_flv(node.http, "live/a")
            until_playing(flock, [viewer], n=170, timeout_s=30, what="more than one turn of 150 pictures")
            server.hold = threading.Event()  # silent, but connected
            n_asked = len(server.heads)
            flock.until(lambda: len(server.heads) > n_asked + 1, 30, "who is silent is left")
            self.assertIn("upstream_stall_ms", self.pull("live/a", node)["last_error"])
            server.hold.set()
            until_playing(flock, [viewer], n=50)
            self.assert_clean(viewer)

    def test_source_that_drips_and_never_gives_a_frame_is_left(self):
        node = self.make_peer(relay__allow_private_targets="true", upstream_stall_ms="1000")
        null = b"\x47\x1f\xff\x10" + b"\xff" * 184

        def drip(peer):
            try:
                harness.read_head(peer)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
                for _ in range(300):
                    peer.sendall(null)
                    time.sleep(0.1)
            except OSError:
                pass
            peer.close()
        dripping = harness.Listener(drip)
        self.addCleanup(dripping.close)
        good = self.serve(make_ts(media.clip("small"), self.file("good.ts")), 10)
        self.tell("pulls", node=node, stream="live/a", urls=[f"http://127.0.0.1:{dripping.port}/x.ts", good.url("x.ts")])
        with swarm.Swarm() as flock:
            viewer = flock.play_flv(node.http, "live/a")
            until_playing(flock, [viewer], timeout_s=15)
            self.assertIn("no frame", self.pull("live/a", node)["last_error"])

    def test_all_codecs_of_transport_streams_arrive(self):
        """Looked at as a transport stream again, since older players know FLV with H.264 alone."""
        sound = "sine=frequency=440:sample_rate=48000"
        for name, codecs, flags in (
                ("latm", "-c:v libx264 -preset ultrafast -g 25 -bf 2 -c:a aac -ac 2", ("-mpegts_flags", "latm")),
                ("hevc", "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=25:bframes=2 -c:a ac3", ()),
                ("opus", "-c:v libx264 -preset ultrafast -g 25 -c:a libopus -ac 2", ()),
                ("mp3", "-c:v libx264 -preset ultrafast -g 25 -c:a libmp3lame", ())):
            path = self.file(f"{name}.ts")
            ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-f", "lavfi", "-i", sound, "-t", "4",
                   "-pix_fmt", "yuv420p", *codecs.split(), *flags, "-f", "mpegts", path)
            server = self.serve(path, 4)
            self.pull_from(server.url("cam.ts"), stream=f"codec/{name}", retry=1)
            out = self.file(f"{name}-played.ts")
            url = "http://%s:%d/codec/%s.ts" % (*self.node.http, name)
            subprocess.run(["curl", "-s", "--max-time", "15", "-o", out, url], check=False)
            want, got = self.decoded(path), self.decoded(out)
            for kind, least in (("v", 70), ("a", 100)):
                self.assertGreater(len(got[kind]), least, (name, kind))
            self.assertEqual(got["v"], want["v"][-len(got["v"]):], f"{name}: pictures are those of the source")
            self.assertEqual(got["codecs"], [c.replace("aac_latm", "aac") for c in want["codecs"]])

    def decoded(self, path):
        """Hashes of pictures, number of frames of sound, and the codecs' names."""
        found = {"codecs": subprocess.run(
            [harness.tool("ffprobe"), "-v", "error", "-show_entries", "program_stream=codec_name:stream=codec_name",
             "-of", "csv=p=0", path], check=True, capture_output=True, text=True).stdout.split()}
        found["codecs"] = sorted(set(found["codecs"]))
        for kind in "va":
            text = subprocess.run(
                [harness.tool("ffmpeg"), "-nostdin", "-v", "error", "-i", path, "-map", f"0:{kind}", "-fps_mode",
                 "passthrough", "-f", "framemd5", "-"], check=True, capture_output=True, text=True).stdout
            found[kind] = [line.split(",")[5].strip() for line in text.splitlines() if not line.startswith("#")]
        return found

    def test_another_node_is_pulled_as_a_transport_stream(self):
        source = self.make_peer()
        self.pull_from("http://%s:%d/cam/1.ts" % source.http)
        self.pull_from("http://%s:%d/cam/1.flv" % source.http, stream="live/b")
        with swarm.Swarm() as flock:
            publisher = media.publish(media.clip("h264_aac"), source.url("cam/1"), self.cluster.folder)
            self.addCleanup(publisher.stop)
            viewers = [flock.play_flv(self.node.http, f"live/{name}") for name in "ab"]
            until_playing(flock, viewers, n=100)
            self.assert_clean(*viewers)
            for viewer in viewers:
                self.assertGreater(viewer.log.n_audio, 100)
            publisher.stop()
            flock.until(lambda: not self.node.streams(), 15, "the stream ends with its source")

    def test_file_of_nginx_is_pulled(self):
        root = self.file("www")
        os.mkdir(root)
        path = make_ts(media.clip("small"), os.path.join(root, "film.ts"))
        port = harness.free_port()
        conf = self.file("nginx-http.conf")
        with open(conf, "w") as file:
            file.write(NGINX_CONF.format(folder=self.cluster.folder, port=port, root=root,
                                         rate=os.path.getsize(path) // 8,
                                         user="user root;" if os.geteuid() == 0 else ""))
        nginx = harness.Process("nginx", [relays.nginx_path(), "-c", conf, "-p", self.cluster.folder],
                                self.cluster.folder)
        self.addCleanup(nginx.stop)
        with swarm.Swarm() as flock:
            relays.until_accepting(flock, ("127.0.0.1", port))
            self.pull_from(f"http://127.0.0.1:{port}/film.ts")
            self.pull_from(f"http://127.0.0.1:{port}/none.ts", stream="live/none", mode="always", retry=1)
            viewer = flock.play_flv(self.node.http, "live/a")
            until_playing(flock, [viewer], n=100)
            self.assert_clean(viewer)
            flock.until(lambda: self.pull("live/none")["state"] == "failed", 15, "there is no such file")
            self.assertIn("answered 404", self.pull("live/none")["last_error"])


if __name__ == "__main__":
    harness.main()
