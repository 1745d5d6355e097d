"""Behind load balancers and reverse proxies: who the client is, on every port and in everything that is said of
it; and that nobody else can lie about it."""

import os
import shutil
import socket
import subprocess
import tempfile

import balancer
import certs
import harness
import media
import rtmp
import swarm

CLIENT, CLIENT6, OTHER = "203.0.113.9", "2001:db8::9", "203.0.113.10"
PER_IP = 6


def rest_of(sock, n_bytes=4096):
    """What comes next; b"" at the end, however it is said: what was not read makes it a reset."""
    try:
        return sock.recv(n_bytes)
    except ConnectionResetError:
        return b""


class Proxied(harness.ClusterTest):
    """One node, one live stream; 127.0.0.2 is a trusted proxy."""

    node_args = {}

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="headwater-proxy-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.ca = certs.Authority(cls.folder, "test-ca")
        cls.cluster_args = {"origins": 1, "edges": 0, "schedulers": 0, "node_set": {
            "rtmps.listen": "127.0.0.1:0", "https.listen": "127.0.0.1:0",
            "tls.certificates": "=".join(cls.ca.issue("localhost", ["DNS:localhost", "IP:127.0.0.1"])),
            "trusted_proxies": [balancer.TRUSTED, "10.7.0.0/16"],
            "limits.connections_per_ip": str(PER_IP), **cls.node_args}}
        super().setUpClass()
        cls.node = cls.cluster.origins[0]
        cls.publisher = media.publish(media.clip("small"), cls.node.url("live/x"), cls.folder, loop=True)
        cls.addClassCleanup(cls.publisher.kill)
        harness.wait_until(lambda: cls.node.streams(), 10, "the stream is live")

    def setUp(self):
        self.n_log = self.node.log_size()

    def peers(self, kind="play", protocol=None):
        return [s["peer"] for s in self.node.sessions()
                if s["kind"] == kind and (protocol is None or s["protocol"] == protocol)]

    def wait_peer(self, peer, **which):
        harness.wait_until(lambda: peer in self.peers(**which), 10, lambda: f"{peer} in {self.peers(**which)}")

    def wait_alone(self):
        """Nobody plays any more."""
        harness.wait_until(lambda: not self.peers(), 10, lambda: f"no players, but {self.peers()}")

    def behind(self, address, header, **more):
        proxy = balancer.Balancer(address, header, **more)
        self.addCleanup(proxy.close)
        return proxy.address

    def get(self, address, path, source=balancer.TRUSTED, headers=(), context=None, header=b""):
        """A raw request, whose answer goes on: returns the socket and the status."""
        sock = balancer.connect(address, source, header)
        self.addCleanup(sock.close)
        if context:
            sock = context.wrap_socket(sock, server_hostname="localhost")
            self.addCleanup(sock.close)
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", *headers]
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            data = sock.recv(4096)
            if not data:
                return sock, 0
            head += data
        return sock, int(head.split(b" ")[1])


class TestProxyProtocol(Proxied):
    def test_an_rtmp_player_is_its_client_for_both_versions_and_any_split(self):
        for header, pieces in ((balancer.v1(CLIENT), 1), (balancer.v1(CLIENT), 44), (balancer.v2(CLIENT), 1),
                               (balancer.v2(CLIENT), 35)):
            with swarm.Swarm() as players:
                player = players.play_rtmp(self.behind(self.node.rtmp, header, pieces=pieces), "live/x")
                players.until(lambda: player.log.n_frames > 10, 10, "the player gets media")
                self.wait_peer(f"{CLIENT}:40112", protocol="rtmp")
            self.wait_alone()

    def test_an_ipv6_client_is_named_behind_an_ipv4_proxy(self):
        with swarm.Swarm() as players:
            player = players.play_rtmp(self.behind(self.node.rtmp, balancer.v2(CLIENT6)), "live/x")
            players.until(lambda: player.log.n_frames > 10, 10, "the player gets media")
            self.wait_peer(f"[{CLIENT6}]:40112")
        self.wait_alone()

    def test_the_header_comes_before_the_tls_handshake(self):
        host, port = self.behind(self.node.rtmps, balancer.v2(CLIENT))
        done = subprocess.run([harness.tool("ffprobe"), "-v", "error", "-ca_file", self.ca.path, "-tls_verify", "0",
                               "-show_entries", "stream=codec_name", "-of", "csv=p=0",
                               f"rtmps://{host}:{port}/live/x"], capture_output=True, text=True, timeout=30)
        self.assertIn("h264", done.stdout, done.stderr)
        self.assertTrue(self.node.log_lines(f"peer={CLIENT}:40112 stream=live/x", self.n_log))
        _, status = self.get(self.node.https, "/live/x.flv", context=self.ca.context(), header=balancer.v1(CLIENT))
        self.assertEqual(status, 200)
        self.wait_peer(f"{CLIENT}:40112", protocol="flv")

    def test_http_and_admin_know_the_client(self):
        sock, status = self.get(self.node.http, "/live/x.flv", header=balancer.v1(CLIENT))
        self.assertEqual(status, 200)
        self.wait_peer(f"{CLIENT}:40112", protocol="flv")
        sock.close()
        _, status = self.get(self.node.admin, "/api/v1/node", header=balancer.v1(CLIENT))
        self.assertEqual(status, 401)  # it comes from loopback, its client does not
        self.assertTrue(self.node.wait_log(f"request refused\" peer={CLIENT}:40112", start=self.n_log))

    def test_a_publisher_is_its_client(self):
        address = self.behind(self.node.rtmp, balancer.v1(CLIENT))
        encoder = media.publish(media.clip("small"), "rtmp://%s:%d/live/y" % address, self.folder)
        self.addCleanup(encoder.kill)
        self.wait_peer(f"{CLIENT}:40112", kind="publish")

    def test_a_health_check_keeps_the_address_of_the_proxy(self):
        _, status = self.get(self.node.http, "/healthz", header=balancer.LOCAL)
        self.assertEqual(status, 200)
        _, status = self.get(self.node.http, "/healthz")  # without any header
        self.assertEqual(status, 200)
        sock = balancer.connect(self.node.rtmp)  # connects and leaves
        sock.close()
        sock, status = self.get(self.node.http, "/live/x.flv", header=balancer.LOCAL)
        self.assertEqual(status, 200)
        harness.wait_until(lambda: any(p.startswith(balancer.TRUSTED + ":") for p in self.peers()), 10)

    def test_a_broken_header_closes_the_connection_and_is_counted(self):
        before = self.node.metrics().total("headwater_proxy_headers_total", result="broken")
        broken = [b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", balancer.SIGNATURE + b"\x31\x11\0\x0c" + bytes(12),
                  balancer.SIGNATURE + b"\x21\x11\xff\xff", b"PROXY " + b"a" * 200]
        for header in broken:
            for address in (self.node.rtmp, self.node.http, self.node.admin):
                sock = balancer.connect(address, data=header)
                self.assertEqual(rest_of(sock), b"", header)
                sock.close()
        after = self.node.metrics().total("headwater_proxy_headers_total", result="broken")
        self.assertEqual(after - before, 3 * len(broken))
        self.assertTrue(self.node.log_lines("bad PROXY header", self.n_log))

    def test_others_cannot_use_it(self):
        for header in (balancer.v1(CLIENT), balancer.v2(CLIENT)):
            sock = balancer.connect(self.node.rtmp, balancer.STRANGER, header + rtmp.handshake_c0c1())
            self.assertEqual(rest_of(sock), b"", "an RTMP server takes that for a client's nonsense")
            sock.close()
            sock = balancer.connect(self.node.http, balancer.STRANGER, header + b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertRegex(rest_of(sock), b"^(HTTP/1.1 400|$)")
            sock.close()
        self.assertFalse(self.node.log_lines(CLIENT, self.n_log))
        self.assertTrue(self.node.log_lines(balancer.STRANGER, self.n_log))


class TestForwardedHeaders(Proxied):
    def play(self, source, *headers):
        """The peer as the API calls it."""
        sock, status = self.get(self.node.http, "/live/x.flv", source, headers)
        self.assertEqual(status, 200)
        got = harness.wait_until(lambda: self.peers(protocol="flv"), 10, "a session")
        sock.close()
        harness.wait_until(lambda: not self.peers(protocol="flv"), 10, "the session ends")
        self.assertEqual(len(got), 1)
        return got[0].rpartition(":")[0]

    def test_the_rightmost_address_that_is_no_proxy_of_ours_counts(self):
        for value in (CLIENT, f"127.0.0.1, {CLIENT}", f"{OTHER}, {CLIENT}, 10.7.1.1, 10.7.0.2",
                      f"garbage, {CLIENT}:5555"):
            self.assertEqual(self.play(balancer.TRUSTED, f"X-Forwarded-For: {value}"), CLIENT, value)
        self.assertEqual(self.play(balancer.TRUSTED, f"X-Forwarded-For: {OTHER}", f"X-Forwarded-For: [{CLIENT6}]:1"),
                         f"[{CLIENT6}]")
        self.assertEqual(self.play(balancer.TRUSTED, f"X-Forwarded-For: {CLIENT}, unknown"), balancer.TRUSTED)

    def test_others_cannot_lie(self):
        self.assertEqual(self.play(balancer.STRANGER, f"X-Forwarded-For: {CLIENT}"), balancer.STRANGER)
        self.assertEqual(self.play(balancer.STRANGER, f"Forwarded: for={CLIENT}"), balancer.STRANGER)
        # What a proxy passes on as the client wrote it.
        self.assertEqual(self.play(balancer.TRUSTED, f"X-Forwarded-For: {CLIENT}", f"Forwarded: for={OTHER}"), CLIENT)
        self.assertEqual(self.play(balancer.TRUSTED, f"Forwarded: for={CLIENT}"), balancer.TRUSTED)

    def test_a_publisher_over_http_is_its_client(self):
        sock = balancer.connect(self.node.http, balancer.TRUSTED, (
            f"POST /live/z.flv HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {CLIENT}\r\n"
            "Transfer-Encoding: chunked\r\n\r\nd\r\nFLV\x01\x05\0\0\0\x09\0\0\0\0\r\n").encode("latin-1"))
        self.addCleanup(sock.close)
        self.wait_peer(f"{CLIENT}:0", kind="publish")

    def test_hls_sessions_are_of_the_client(self):
        for client in (CLIENT, OTHER):
            _, status = self.get(self.node.http, "/live/x/fmp4.m3u8", headers=(f"X-Forwarded-For: {client}",))
            self.assertEqual(status, 200)
            self.wait_peer(f"{client}:0", protocol="hls")

    def test_what_a_proxy_passed_on_is_never_from_this_machine(self):
        local = harness.http_request(self.node.admin, "/api/v1/node")
        self.assertEqual(local[0], 200)
        for header in (f"X-Forwarded-For: {CLIENT}", "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1",
                       "X-Real-IP: 127.0.0.1", "Via: 1.1 proxy"):
            for source in (balancer.TRUSTED, balancer.STRANGER, "127.0.0.1"):
                _, status = self.get(self.node.admin, "/api/v1/node", source, (header,))
                self.assertEqual(status, 401, f"{source} {header}")
        # Without tokens a node on this machine is believed; a stranger behind a proxy here is none.
        _, status = self.get(self.node.http, "/live/x.flv", headers=("X-Headwater-Hops: a", "X-Forwarded-For: 127.0.0.1"))
        self.assertEqual(status, 401)

    def test_http2_streams_of_one_connection_are_of_their_clients(self):
        host, port = self.node.https
        for client in (CLIENT, OTHER):
            done = subprocess.run(
                [harness.tool("curl"), "-sS", "--http2", "--cacert", self.ca.path, "--interface", balancer.TRUSTED,
                 "-o", os.devnull, "-w", "%{http_version} %{http_code}", "-H", f"X-Forwarded-For: {client}",
                 f"https://{host}:{port}/live/x/fmp4.m3u8"], capture_output=True, text=True, timeout=30)
            self.assertEqual(done.stdout, "2 200", done.stderr)
            self.wait_peer(f"{client}:0", protocol="hls")


class TestLimitOfConnections(Proxied):
    """limits.connections_per_ip counts clients, not proxies."""

    def handshake(self, source, header):
        """A connection that speaks RTMP; None when it was refused."""
        sock = balancer.connect(self.node.rtmp, source, header + rtmp.handshake_c0c1())
        self.addCleanup(sock.close)
        return sock if rest_of(sock, 1) else None

    def test_each_client_of_a_proxy_has_a_limit_of_its_own(self):
        for client in (CLIENT, OTHER):
            kept = [self.handshake(balancer.TRUSTED, balancer.v1(client)) for _ in range(PER_IP)]
            self.assertNotIn(None, kept)
            self.assertIsNone(self.handshake(balancer.TRUSTED, balancer.v1(client)))
        self.assertTrue(self.node.log_lines(f"connection refused\" peer={CLIENT}:40112", self.n_log))
        # Nobody gets more by naming others.
        kept = [self.handshake(balancer.STRANGER, b"") for _ in range(PER_IP)]
        self.assertNotIn(None, kept)
        for i in range(3):
            self.assertIsNone(self.handshake(balancer.STRANGER, balancer.v1(f"192.0.2.{i}")))
        for sock in kept:
            sock.close()
        harness.wait_until(lambda: self.handshake(balancer.STRANGER, b""), 10, "a place is free again")

    def test_a_player_behind_a_reverse_proxy_counts_as_its_client(self):
        client = "X-Forwarded-For: 203.0.113.77"
        kept = []
        for _ in range(PER_IP):
            sock, status = self.get(self.node.http, "/live/x.flv", headers=(client,))
            self.assertEqual(status, 200)
            kept.append(sock)
        _, status = self.get(self.node.http, "/live/x.flv", headers=(client,))
        self.assertEqual(status, 429)
        _, status = self.get(self.node.http, "/live/x.flv", headers=("X-Forwarded-For: 203.0.113.78",))
        self.assertEqual(status, 200)
        kept.pop().close()
        harness.wait_until(lambda: self.get(self.node.http, "/live/x.flv", headers=(client,))[1] == 200, 10,
                           "a place is free again")


class TestNginx(Proxied):
    """A real reverse proxy."""

    def test_nginx_names_its_client(self):
        port = harness.free_port()
        path = os.path.join(self.folder, "nginx.conf")
        with open(path, "w") as file:
            file.write(f"""
                daemon off; pid {self.folder}/nginx.pid; error_log {self.folder}/nginx.log; worker_processes 1;
                events {{ }}
                http {{
                    access_log off; client_body_temp_path {self.folder}/b; proxy_temp_path {self.folder}/p;
                    fastcgi_temp_path {self.folder}/f; uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
                    server {{
                        listen 127.0.0.1:{port};
                        location / {{
                            proxy_pass http://%s:%d; proxy_bind {balancer.TRUSTED}; proxy_buffering off;
                            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                        }}
                    }}
                }}""" % self.node.http)
        nginx = harness.Process("nginx", [harness.tool("nginx"), "-c", path, "-e", f"{self.folder}/nginx.log"], self.folder)
        self.addCleanup(nginx.kill)
        harness.wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 10, "nginx listens")
        _, status = self.get(("127.0.0.1", port), "/live/x.flv", "127.0.0.5", (f"X-Forwarded-For: {CLIENT}",))
        self.assertEqual(status, 200)
        self.wait_peer("127.0.0.5:0", protocol="flv")


if __name__ == "__main__":
    harness.main()
