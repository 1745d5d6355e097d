"""Publishing over HTTP: POST and PUT of FLV, by people and by nodes."""

import os
import subprocess

import harness
import media
import swarm

SECONDS = 5
NODE = {"Authorization": f"Bearer {harness.TOKEN}", "X-Headwater-Forward": "edge-9,10.0.0.9:1"}


def small():
    return swarm.Clip(media.clip("small"))


def head(method, stream, **headers):
    lines = [f"{method} /{stream}.flv HTTP/1.1", "Host: x"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def chunked(data, size=1000):
    pieces = [data[i:i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


class HttpPublishTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 1, "node_set": {
        "publisher_grace_ms": "1000", "publish_stall_ms": "2000", "limits.message_bytes": str(1 << 20)}}

    def setUp(self):
        self.origin, self.edge = self.cluster.origins[0], self.cluster.edges[0]
        with open(media.clip("small"), "rb") as file:
            self.flv = file.read()

    def status(self, flock, conn, timeout_s=15):
        """Of the final answer."""
        def final():
            text = bytes(conn.received)
            while text.startswith(b"HTTP/1.1 1") and b"\r\n\r\n" in text:
                text = text.split(b"\r\n\r\n", 1)[1]
            return text if b"\r\n\r\n" in text else None
        flock.until(final, timeout_s, "answered")
        return int(final().split(b" ")[1])

    def test_what_ffmpeg_posts_arrives_to_the_last_packet(self):
        clip, stream, folder = media.clip("h264_aac", SECONDS), "live/posted", self.cluster.folder
        publisher = media.publish(clip, self.origin.url(stream, "http"), folder, "post",
                                  flags=("-method", "POST"))
        self.cluster.wait_route(stream)
        outs = {node.id: os.path.join(folder, f"posted-{node.id}.md5") for node in (self.origin, self.edge)}
        players = [media.play_md5(node.url(stream), outs[node.id], folder, f"posted-{node.id}")
                   for node in (self.origin, self.edge)]
        try:
            for process in [publisher, *players]:
                harness.wait_until(lambda: not process.is_alive(), SECONDS + 30, f"{process.name} ends")
        finally:
            for process in [publisher, *players]:
                process.kill()
        for where, out in outs.items():
            with self.subTest(where=where):
                media.compare_md5(media.file_md5(clip), media.read_md5(out), 25)

    def test_curl_uploads_a_file(self):
        argv = [harness.tool("curl"), "-sS", "-T", media.clip("small"), "-o", "/dev/null", "-w", "%{http_code}",
                self.origin.url("live/curl", "http")]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=30)
        self.assertEqual(done.stdout, "200")

    def test_every_framing_plays(self):
        framings = {"length": ({"Content_Length": len(self.flv)}, self.flv),
                    "chunks": ({"Transfer_Encoding": "chunked"}, chunked(self.flv) + b"0\r\n\r\n")}
        with swarm.Swarm() as flock:
            for method in ("POST", "PUT"):
                for name, (headers, body) in framings.items():
                    with self.subTest(method=method, framing=name):
                        stream = f"live/{name}_{method}"
                        viewer = flock.play_flv(self.origin.http, stream)
                        conn = flock.raw(self.origin.http, head(method, stream, **headers) + body)
                        self.assertEqual(self.status(flock, conn), 200)
                        flock.until(lambda: viewer.log.n_video > 0, 10, "it was played")
                        flock.until(lambda: conn.closed, 5, "the connection ends with the answer")

    def test_expect_gets_100_before_the_body_or_the_refusal(self):
        with swarm.Swarm() as flock:
            conn = flock.raw(self.origin.http, head("POST", "live/expect", Transfer_Encoding="chunked",
                                                    Expect="100-continue"))
            flock.until(lambda: conn.received, 10)
            self.assertEqual(bytes(conn.received), b"HTTP/1.1 100 Continue\r\n\r\n")
            other = flock.raw(self.origin.http, head("POST", "live/expect", Transfer_Encoding="chunked",
                                                     Expect="100-continue"))
            self.assertEqual(self.status(flock, other), 409)
            self.assertNotIn(b"100 Continue", bytes(other.received))
            conn.out += chunked(self.flv[:200]) + b"0\r\n\r\n"
            conn.send_now()
            self.assertEqual(self.status(flock, conn), 200)

    def test_bad_requests_are_refused(self):
        cases = {
            "no such path": (404, head("POST", "live", Content_Length=5) + b"hello"),
            "a bad name": (404, head("POST", "live/.x", Content_Length=5) + b"hello"),
            "no body": (411, head("POST", "live/bad")),
            "no FLV": (400, head("POST", "live/bad", Content_Length=9000) + b"x" * 9000),
            "bad chunks": (400, head("POST", "live/bad", Transfer_Encoding="chunked") + b"zz\r\n"),
            "bad media": (400, head("POST", "live/bad", Content_Length=9000) +
                          self.flv[:13] + b"\x09\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x0c"),
        }
        with swarm.Swarm() as flock:
            for what, (status, request) in cases.items():
                with self.subTest(what=what):
                    self.assertEqual(self.status(flock, flock.raw(self.origin.http, request)), status)
            self.assertEqual(harness.http_request(self.origin.http, "/healthz")[0], 200)

    def test_oversized_tags_are_refused_before_they_are_kept(self):
        tag = self.flv[:13] + b"\x09\xff\xff\xff" + bytes(7) + b"\x17\x01" + bytes(100_000)
        with swarm.Swarm() as flock:
            conn = flock.raw(self.origin.http, head("POST", "live/big", Content_Length=1 << 40) + tag)
            self.assertEqual(self.status(flock, conn), 400)
            self.assertIn(b"limit", bytes(conn.received))

    def test_lengths_that_are_wrong_end_the_stream_and_nothing_else(self):
        """The body ends inside a tag; more comes than was announced; the connection breaks inside a tag."""
        cut = len(self.flv) // 2
        cases = {"short": (head("POST", "live/short", Content_Length=cut) + self.flv[:cut], 200),
                 "long": (head("POST", "live/long", Content_Length=cut) + self.flv, 200),
                 "broken": (head("POST", "live/broken", Content_Length=len(self.flv)) + self.flv[:cut], None)}
        with swarm.Swarm() as flock:
            for name, (request, status) in cases.items():
                with self.subTest(case=name):
                    viewer = flock.play_flv(self.origin.http, f"live/{name}")
                    conn = flock.raw(self.origin.http, request)
                    if status:
                        self.assertEqual(self.status(flock, conn), status)
                    flock.until(lambda: viewer.log.n_video > 0, 10, "what was whole is played")
                    conn.close()
                    flock.until(lambda: viewer.closed, 10, "it ends after publisher_grace_ms")
                    self.assertEqual(viewer.log.problems, [])
            flock.until(lambda: not self.origin.sessions(), 10, "no session is left")

    def test_forward_needs_the_token_and_a_node(self):
        def answer(**headers):
            return harness.http_request(self.origin.http, "/live/forged.flv", "POST", headers, b"x")[0]
        self.assertEqual(answer(**{"X-Headwater-Forward": "edge-9,1"}), 401)
        self.assertEqual(answer(**{**NODE, "Authorization": "Bearer wrong"}), 401)
        self.assertEqual(answer(**{**NODE, "X-Headwater-Forward": "no address"}), 400)
        self.assertEqual(answer(**{**NODE, "X-Headwater-Forward": f"{self.origin.id},x"}), 508)

    def test_silent_publisher_is_told(self):
        with swarm.Swarm() as flock:
            conn = flock.raw(self.origin.http, head("POST", "live/silent", Transfer_Encoding="chunked"))
            self.assertEqual(self.status(flock, conn), 408)

    def test_kicked_publisher_is_told(self):
        with swarm.Swarm() as flock:
            conn = flock.raw(self.origin.http, head("POST", "live/kick", Transfer_Encoding="chunked") +
                             chunked(self.flv[:2000]))
            session = None

            def look():
                nonlocal session
                session = next((s for s in self.origin.sessions() if s["stream"] == "live/kick"), None)
                return session
            flock.until(look, 10, "it is a session")
            self.assertEqual((session["protocol"], session["kind"]), ("flv", "publish"))
            harness.http_request(self.origin.admin, f"/api/v1/sessions/{session['id']}", "DELETE",
                                 {"Content-Type": "application/json"})
            self.assertEqual(self.status(flock, conn), 403)

    def test_edge_that_lies_about_times_harms_nobody(self):
        """Sums of what it says would not fit into 64 bits."""
        def member(name, text):
            return len(name).to_bytes(2, "big") + name + b"\x02" + len(text).to_bytes(2, "big") + text
        body = b"\x02\0\x03@hw\x08\0\0\0\3" + member(b"gop", b"1") + \
            member(b"ingest_us", b"-9223372036854775808") + member(b"wall_us", b"9223372036854775807") + b"\0\0\x09"
        tag = b"\x12" + len(body).to_bytes(3, "big") + bytes(7) + body + (len(body) + 11).to_bytes(4, "big")
        with swarm.Swarm() as flock:
            viewer = flock.play_flv(self.origin.http, "live/liar")
            relay = flock.play_flv(self.origin.http, "live/liar",
                                   [f"Authorization: Bearer {harness.TOKEN}", "X-Headwater-Hops: edge-8"])
            flock.raw(self.origin.http, head("POST", "live/liar", Transfer_Encoding="chunked", **NODE) +
                      chunked(self.flv[:13] + tag + self.flv[13:]))
            flock.until(lambda: viewer.log.n_video > 5 and relay.log.n_video > 5, 10, "its media is played")

    def test_media_between_nodes_in_an_encoders_stream_is_left_out(self):
        """A script tag @hw that says "end" would end the pull of every edge."""
        body = b"\x02\0\x03@hw\x08\0\0\0\2\0\1v\0" + b"\x3f\xf0" + bytes(6) + b"\0\3end\0\x3f\xf0" + bytes(6) + b"\0\0\x09"
        tag = b"\x12" + len(body).to_bytes(3, "big") + bytes(7) + body + (len(body) + 11).to_bytes(4, "big")
        with swarm.Swarm() as flock:
            publisher = flock.publish(self.origin.rtmp, "live/other", small())
            conn = flock.raw(self.origin.http, head("POST", "live/forged", Transfer_Encoding="chunked") +
                             chunked(self.flv[:13]) + chunked(tag) + chunked(self.flv[13:]))
            viewer = flock.play_flv(self.edge.http, "live/forged")
            flock.until(lambda: viewer.log.n_video > 10, 15, "plays at the edge")
            self.assertFalse(viewer.closed)
            self.assertFalse(conn.closed)
            publisher.close()


class ClosedTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0, "node_set": {"publish.open": "false"}}

    def test_publishing_is_closed(self):
        status, headers, body = harness.http_request(self.cluster.origins[0].http, "/live/x.flv", "POST", {}, b"FLV")
        self.assertEqual(status, 403, body)
        self.assertEqual(headers["content-type"], "application/problem+json")


if __name__ == "__main__":
    harness.main()
