"""TLS on a single server: HTTPS, WSS and RTMPS as players and encoders use them, certificates by name and
renewed while it runs, and peers that do not play by the rules."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

import certs
import harness
import media
import websocket

HANDSHAKE_MS = 1500
LOOK_S = 5  # how often files are looked at
HERE = ["DNS:localhost", "IP:127.0.0.1"]


def run(name, *args, stdin="", timeout_s=20):
    """(exit code, standard output and error)."""
    done = subprocess.run([harness.tool(name), *args], input=stdin, text=True, timeout=timeout_s,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


class Viewer:
    """HTTP-FLV over a socket that a test reads when it likes."""

    def __init__(self, address, stream, context=None):
        self.sock = socket.create_connection(address, 10)
        if context:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.sock.sendall(f"GET /{stream}.flv HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        self.n_bytes = 0

    def see_more(self, n_bytes=20000):
        """Media goes on."""
        wanted = self.n_bytes + n_bytes
        while self.n_bytes < wanted:
            data = self.sock.recv(65536)
            if not data:
                raise AssertionError(f"cut off after {self.n_bytes} bytes")
            self.n_bytes += len(data)

    def watch(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.see_more(1)

    def close(self):
        self.sock.close()


class TlsServer(harness.ClusterTest):
    """One node with certificates for localhost and for two other names."""

    node_args = {}

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="headwater-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.ca = certs.Authority(cls.folder, "test-ca")
        cls.cert, cls.key = cls.ca.issue("localhost", HERE)
        pairs = [cls.ca.issue("one", ["DNS:one.example"]), cls.ca.issue("many", ["DNS:*.many.example"])]
        os.chmod(pairs[0][1], 0o644)
        cls.cluster_args = {"origins": 1, "edges": 0, "schedulers": 0, "node_set": {
            "loops": "4", "rtmps.listen": "127.0.0.1:0", "https.listen": "127.0.0.1:0",
            "tls.certificates": ["=".join(pair) for pair in [(cls.cert, cls.key), *pairs]],
            "tls.ca_file": cls.ca.path, "limits.tls_handshake_ms": str(HANDSHAKE_MS), **cls.node_args}}
        super().setUpClass()
        cls.node = cls.cluster.origins[0]
        cls.trust = ("-ca_file", cls.ca.path, "-tls_verify", "1")

    def rtmps(self, stream):
        return f"rtmps://localhost:{self.node.rtmps[1]}/{stream}"

    def https(self, path):
        return f"https://localhost:{self.node.https[1]}/{path}"

    def get(self, path):
        """Status over HTTPS."""
        return harness.http_request(("localhost", self.node.https[1]), path, context=self.ca.context())[0]

    def live(self, stream):
        """ffmpeg publishes until it is stopped, over RTMPS; waits until the stream is there."""
        process = media.publish(media.clip("h264_aac"), self.rtmps(stream), self.cluster.folder, loop=True,
                                flags=self.trust)
        self.addCleanup(process.stop)
        harness.wait_until(lambda: any(s["name"] == stream for s in self.node.streams()), 10, f"{stream} is live")
        return process

    def viewer(self, stream, **args):
        viewer = Viewer(self.node.https, stream, self.ca.context(), **args)
        self.addCleanup(viewer.close)
        viewer.see_more()
        return viewer

    def shown_certificate(self, name="localhost"):
        """Serial number of the one that is shown to who asks for that name."""
        code, said = run("openssl", "s_client", "-connect", "127.0.0.1:%d" % self.node.https[1], "-servername",
                         name, "-CAfile", self.ca.path)
        self.assertIn("Verify return code: 0 (ok)", said)
        pem = re.search("-----BEGIN CERT.*?-----END CERTIFICATE-----", said, re.DOTALL)[0]
        return run("openssl", "x509", "-noout", "-serial", "-subject", stdin=pem)[1]

    def failures(self, reason):
        return self.node.metrics().total("headwater_tls_handshake_failures_total", reason=reason)


class ClientsTest(TlsServer):
    def test_ffmpeg_publishes_and_plays_over_rtmps_and_https(self):
        clip, players = media.clip("h264_aac", 4), {}
        for name, url in (("rtmps", self.rtmps("live/all")), ("flv", self.https("live/all.flv"))):
            path = os.path.join(self.cluster.folder, f"{name}.md5")
            players[path] = media.play_md5(url, path, self.cluster.folder, name, flags=self.trust)
        harness.wait_until(lambda: len([s for s in self.node.sessions() if s["stream"] == "live/all"]) == 2, 10,
                           "both players wait")
        publisher = media.publish(clip, self.rtmps("live/all"), self.cluster.folder, flags=self.trust)
        self.addCleanup(publisher.stop)
        publisher.popen.wait(20)
        published = media.file_md5(clip)
        for path, player in players.items():
            self.addCleanup(player.stop)
            harness.wait_until(
                lambda: {t: len(p) for t, p in media.read_md5(path).items()} == {t: len(p) for t, p in published.items()},
                15, f"{player.name} got all")
            media.compare_md5(published, media.read_md5(path), 50)

    def test_ffmpeg_decodes_ts_and_mp4_over_https(self):
        self.live("live/forms")
        for form in ("ts", "mp4"):
            code, said = run("ffmpeg", "-nostdin", "-v", "warning", "-xerror", *self.trust, "-i",
                             self.https(f"live/forms.{form}"), "-t", "2", "-f", "null", "-", timeout_s=30)
            self.assertEqual((code, said), (0, ""), form)

    def test_ffmpeg_publishes_by_https_post(self):
        process = media.publish(media.clip("h264_aac"), self.https("live/post.flv"), self.cluster.folder, loop=True,
                                flags=("-method", "POST", *self.trust))
        self.addCleanup(process.stop)
        harness.wait_until(lambda: "live/post" in [s["name"] for s in self.node.streams()], 10, "it is live")
        self.viewer("live/post").see_more(50000)

    def test_ffmpeg_refuses_an_authority_that_it_does_not_know(self):
        stranger = certs.Authority(self.folder, "stranger")
        code, said = run("ffmpeg", "-nostdin", "-v", "warning", "-ca_file", stranger.path, "-tls_verify", "1", "-i",
                         self.https("live/none.flv"), "-f", "null", "-")
        self.assertNotEqual(code, 0)
        self.assertIn("certificate", said)

    def test_curl_gets_the_same_as_over_http(self):
        url = self.https("healthz")
        code, said = run("curl", "-sS", "--cacert", self.ca.path, url)
        self.assertEqual((code, said), (0, harness.http_request(self.node.http, "/healthz")[2].decode()))
        before = self.failures("alert")
        self.assertEqual(run("curl", "-sS", url)[0], 60)  # not one of the system's authorities
        harness.wait_until(lambda: self.failures("alert") == before + 1, 5, "its alert is counted")
        self.node.wait_log("tlsv1 alert unknown ca")

    def test_websocket_plays_under_tls(self):
        self.live("live/ws")
        ws = websocket.WebSocket(self.node.https, "/live/ws.flv", tls=self.ca.context()).open()
        self.addCleanup(ws.close)
        self.assertEqual(ws.status, 101)
        frames = [ws.until(websocket.BINARY)[1] for _ in range(5)]
        self.assertTrue(frames[0].startswith(b"FLV"))

    def test_many_viewers_on_all_loops_lose_nothing(self):
        path = os.path.join(self.folder, "load.json")
        play = [word for scheme in ("rtmps", "https")
                for word in ("--play", self.node.url("live/s{i}", scheme), "--players", "100")]
        code, said = run(os.path.join(harness.BIN_DIR, "headwater-tool"), "load", "--publish",
                         self.node.url("live/s{i}", "rtmps"), "--publishers", "4", "--flv", media.clip("h264_aac"), *play,
                         "--warmup", "1", "--seconds", "4", "--quiet", "--json", path, timeout_s=60)
        self.assertEqual(code, 0, said)
        with open(path) as file:
            report = json.load(file)
        self.assertEqual(len(report["players"]), 2)
        for group in report["players"]:
            self.assertEqual([group[key] for key in ("playing", "lost", "refused", "backward")], [100, 0, 0, 0])

    def test_names_pick_the_certificate(self):
        self.assertIn("CN = localhost", self.shown_certificate())
        self.assertIn("CN = one", self.shown_certificate("one.example"))
        self.assertIn("CN = many", self.shown_certificate("a.many.example"))
        self.assertIn("CN = localhost", self.shown_certificate("unknown.example"))

    def test_tls_1_1_is_refused(self):
        before = self.failures("version")
        code, said = run("curl", "-sS", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", "--cacert",
                         self.ca.path, self.https("healthz"))
        self.assertEqual(code, 35, said)
        self.assertIn("protocol version", said)
        self.assertEqual(self.failures("version"), before + 1)
        for version in ("1.2", "1.3"):
            self.assertEqual(run("curl", "-sS", "--tls-max", version, f"--tlsv{version}", "--cacert", self.ca.path,
                                 self.https("healthz"))[0], 0)

    def test_session_tickets_are_good_on_every_loop(self):
        where = ["s_client", "-connect", "127.0.0.1:%d" % self.node.https[1], "-servername", "localhost", "-CAfile",
                 self.ca.path, "-ign_eof"]
        ask = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        before = self.node.metrics().total("headwater_tls_resumed_total")
        ticket = os.path.join(self.folder, "ticket")
        for version in ("-tls1_2", "-tls1_3"):
            code, said = run("openssl", *where, version, "-sess_out", ticket, stdin=ask)
            self.assertIn("\nNew, TLSv1", said)
            for _ in range(12):  # all on one loop of four: once in 16 million runs
                code, said = run("openssl", *where, version, "-sess_in", ticket, stdin=ask)
                self.assertIn("\nReused, TLSv1", said)
                self.assertIn("HTTP/1.1 200", said)
        self.assertEqual(self.node.metrics().total("headwater_tls_resumed_total"), before + 24)
        code, said = run("openssl", *[word for word in where if word != "-ign_eof"], "-tls1_2", "-reconnect")
        self.assertEqual(said.count("\nReused, TLSv1.2"), 5)

    def test_a_key_that_others_can_read_is_warned_about(self):
        lines = self.node.log_lines("private key is open to every user")
        self.assertEqual(len(lines), 1)
        self.assertIn("one.key", lines[0])
        self.assertIn("mode=644", lines[0])


class BadPeersTest(TlsServer):
    def test_plain_http_gets_an_answer_that_says_why(self):
        self.live("live/plain")
        viewer, before = self.viewer("live/plain"), self.failures("not_tls")
        status, _, body = harness.http_request(self.node.https, "/healthz")
        self.assertEqual((status, body), (400, b"This port speaks TLS: use https://...\n"))
        self.assertEqual(self.failures("not_tls"), before + 1)
        # 10 lines a second are logged, and the handshakes of another test may have used them up
        harness.wait_until(lambda: harness.http_request(self.node.https, "/healthz")[0] == 400 and
                           self.node.log_lines("plain HTTP sent to a TLS port"), 10, "it is logged", step_s=0.3)
        viewer.see_more()

    def test_rubbish_ends_its_own_connection_only(self):
        self.live("live/rubbish")
        viewer = self.viewer("live/rubbish")
        for address in (self.node.https, self.node.rtmps):
            for data in (b"\x03" + bytes(1536), b"\x16\x03\x01\xff\xff" + b"\xff" * 500, os.urandom(3000)):
                sock = socket.create_connection(address, 10)
                self.addCleanup(sock.close)
                sock.sendall(data)
                try:
                    while sock.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
        viewer.see_more()

    def test_half_open_handshakes_time_out_and_stop_nobody(self):
        self.live("live/half")
        viewer, before = self.viewer("live/half"), self.failures("timeout")
        hello = bytes.fromhex("16030100c8010000c40303") + bytes(40)  # the beginning of one
        opened_s, socks = time.monotonic(), []
        for i in range(200):
            sock = socket.create_connection((self.node.https, self.node.rtmps)[i % 2], 10)
            self.addCleanup(sock.close)
            if i % 3:
                sock.sendall(hello)
            socks.append(sock)
        started = time.monotonic()
        self.assertEqual(self.get("/healthz"), 200)
        self.assertLess(time.monotonic() - started, 1)
        viewer.see_more()
        for sock in socks:
            self.assertEqual(sock.recv(100)[:1] or b"", b"")
        self.assertGreater(time.monotonic() - opened_s, HANDSHAKE_MS / 1000)
        harness.wait_until(lambda: self.failures("timeout") == before + 200, 5, "all are counted")
        viewer.see_more()


class RenewalTest(TlsServer):
    def reloads(self, result):
        return self.node.metrics().total("headwater_tls_reloads_total", what="certificates", result=result)

    def test_renewed_certificates_are_used_and_viewers_stay(self):
        self.live("live/renewed")
        viewer, first = self.viewer("live/renewed"), self.shown_certificate()

        self.ca.issue("localhost", HERE)
        self.node.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.reloads("ok") >= 1, 5, "read at SIGHUP")
        second = self.shown_certificate()
        self.assertNotEqual(second, first)
        viewer.see_more()

        self.ca.issue("localhost", HERE)
        harness.wait_until(lambda: self.reloads("ok") >= 2, LOOK_S + 5, "noticed")
        third = self.shown_certificate()
        self.assertNotIn(third, (first, second))
        viewer.see_more()

        with open(self.cert) as file:
            good = file.read()
        with open(self.cert, "w") as file:
            file.write(good[:300])
        self.node.wait_log("what was there stays", LOOK_S + 5)
        viewer.watch(LOOK_S + 1)  # it is looked at again meanwhile
        self.assertEqual(self.shown_certificate(), third)
        self.assertEqual(self.reloads("failed"), 1)
        self.assertEqual(len(self.node.log_lines("what was there stays")), 1)

        with open(self.cert, "w") as file:
            file.write(good)
        harness.wait_until(lambda: self.reloads("ok") >= 3, LOOK_S + 5, "good again")
        viewer.see_more()
        left_s = self.node.metrics().total("headwater_tls_certificate_expiry_seconds")
        self.assertAlmostEqual(left_s, 20 * 86400, delta=600)


class AdminTest(TlsServer):
    node_args = {"admin.tls": "true"}

    def test_admin_port_speaks_tls_and_nothing_else(self):
        address = ("localhost", self.node.admin[1])
        for path in ("/healthz", "/metrics", "/api/v1/node"):
            self.assertEqual(harness.http_request(address, path, context=self.ca.context())[0], 200, path)
        status, _, body = harness.http_request(address, "/metrics")
        self.assertEqual((status, b"speaks TLS" in body), (400, True))
        with self.assertRaises(ssl.SSLCertVerificationError):
            harness.http_request(address, "/metrics", context=ssl.create_default_context())


class SourcesTest(TlsServer):
    """A second node pulls from this one as from a foreign server."""

    def second(self, ca_path, **sources):
        node = self.cluster.make_node(
            "origin", len(self.cluster.origins), tls__certificates="", tls__ca_file=ca_path, play_wait_ms="3000",
            pull__sources=",".join(f"ext/{name}={url}" for name, url in sources.items()))
        self.cluster.origins.append(node)
        return node.learn()

    def test_pulls_over_rtmps_and_https_are_verified(self):
        self.live("live/source")
        node = self.second(self.ca.path, a=self.rtmps("live/source"), b=self.https("live/source.flv"))
        self.assertIsNone(node.https)  # without certificates nothing listens
        self.assertIsNone(node.rtmps)
        for name in ("a", "b"):
            viewer = Viewer(node.http, f"ext/{name}")
            self.addCleanup(viewer.close)
            viewer.see_more(50000)
        total = node.metrics().total("headwater_tls_handshakes_total", side="client")
        self.assertGreaterEqual(total, 2)

    def test_a_source_that_is_not_believed_is_refused_with_the_reason(self):
        self.live("live/doubt")
        stranger = certs.Authority(self.folder, "nobody")
        node = self.second(stranger.path, a=self.rtmps("live/doubt"), b=self.https("live/doubt.flv"),
                           c=f"https://one.example.invalid:{self.node.https[1]}/live/doubt.flv")
        for name in ("a", "b"):
            status, _, _ = harness.http_request(node.http, f"/ext/{name}.flv")
            self.assertEqual(status, 404)
            line = node.wait_log(f"stream=ext/{name} ")
            self.assertIn("certificate verify failed: unable to get local issuer certificate", line)
        said = node.wait_log("handshake failed")
        self.assertIn("side=client host=localhost peer=127.0.0.1:", said)

    def test_an_authority_that_is_put_into_the_file_is_believed_from_then_on(self):
        self.live("live/late")
        path = os.path.join(self.folder, "late-ca.pem")
        shutil.copy(certs.Authority(self.folder, "early").path, path)
        node = self.second(path, a=self.https("live/late.flv"))
        self.assertEqual(harness.http_request(node.http, "/ext/a.flv")[0], 404)
        shutil.copy(self.ca.path, f"{path}.new")
        os.replace(f"{path}.new", path)
        harness.wait_until(lambda: node.metrics().total("headwater_tls_reloads_total", what="authorities", result="ok"),
                           LOOK_S + 5, "noticed")
        viewer = Viewer(node.http, "ext/a")
        self.addCleanup(viewer.close)
        viewer.see_more()

    def test_a_certificate_for_another_name_is_refused(self):
        other = certs.Authority(self.folder, "other-names")
        pair = other.issue("elsewhere", ["DNS:elsewhere.example"])
        node = self.cluster.make_node("origin", len(self.cluster.origins), tls__certificates="=".join(pair))
        self.cluster.origins.append(node)
        node.learn()
        second = self.second(other.path, a=f"https://localhost:{node.https[1]}/live/x.flv")
        self.assertEqual(harness.http_request(second.http, "/ext/a.flv")[0], 404)
        self.assertIn("certificate verify failed: hostname mismatch", second.wait_log("stream=ext/a "))


class ReplaceTest(TlsServer):
    """headwater-node --replace passes the sockets of TLS, too."""

    @classmethod
    def setUpClass(cls):
        cls.socket_folder = tempfile.mkdtemp(prefix="hw-")
        cls.addClassCleanup(shutil.rmtree, cls.socket_folder, ignore_errors=True)
        cls.node_args = {"handover.socket": os.path.join(cls.socket_folder, "s"), "drain_timeout_s": "60"}
        super().setUpClass()

    def test_no_connection_is_refused_while_a_process_takes_over(self):
        self.live("live/over")
        viewer = self.viewer("live/over")
        fresh = harness.Node.__new__(harness.Node)
        started = harness.program("headwater-node", self.node.sets, self.cluster.folder, "next", ["--replace"])
        fresh.__dict__.update(started.__dict__)
        self.cluster.processes.append(fresh)
        n_served = 0
        while not (fresh.log_lines(" msg=ready") and n_served >= 20):
            self.assertTrue(fresh.is_alive(), fresh.tail())
            self.assertEqual(self.get("/healthz"), 200)
            n_served += 1
        fresh.learn()
        self.assertEqual((fresh.https, fresh.rtmps), (self.node.https, self.node.rtmps))
        viewer.see_more()
        late = Viewer(fresh.https, "live/over", self.ca.context())
        self.addCleanup(late.close)
        late.see_more()


if __name__ == "__main__":
    harness.main()
