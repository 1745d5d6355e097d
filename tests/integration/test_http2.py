"""HTTP/2 on a TLS port, with clients that others wrote: curl, nghttp and h2load. Most tests use the server
of tests/bench/http: common/net alone, with one handler of each kind; the last ones a node."""

import concurrent.futures
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import unittest

import certs
import harness
import media

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 1, 3, 4, 6, 7, 8
ENHANCE_YOUR_CALM = 11
CURL_TIMED_OUT = 28
HERE = ["DNS:localhost", "IP:127.0.0.1"]
GET_ROOT = b"\x82\x87\x84\x01\x01a"  # :method GET, :scheme https, :path /, :authority a


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def frames_of(data):
    while len(data) >= 9:
        size = int.from_bytes(data[:3], "big")
        yield data[3], data[4], int.from_bytes(data[5:9], "big"), data[9:9 + size]
        data = data[9 + size:]


def curl(ca, url, *options):
    """Returns (HTTP version, status, body)."""
    done = subprocess.run([harness.tool("curl"), "-sS", "--cacert", ca.path, "--max-time", "20", *options,
                           "-w", "\n%{http_version} %{http_code}", url], capture_output=True)
    if done.returncode not in (0, CURL_TIMED_OUT):
        raise AssertionError(f"{url}: {done.stderr.decode()}")
    body, _, last = done.stdout.rpartition(b"\n")
    version, status = last.decode().split()
    return version, int(status), body


def connect(ca, address):
    context = ssl.create_default_context(cafile=ca.path)
    context.set_alpn_protocols(["h2"])
    sock = context.wrap_socket(socket.create_connection(address, timeout=20), server_hostname="localhost")
    if sock.selected_alpn_protocol() != "h2":
        raise AssertionError(f"agreed on {sock.selected_alpn_protocol()}")
    return sock


class Http2Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.ca = certs.Authority(cls.folder.name, "test-ca")
        cert, key = cls.ca.issue("localhost", HERE)
        argv = [os.path.join(harness.BIN_DIR, "headwater-bench-http"), "127.0.0.1:0", cert, key]
        cls.server = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        cls.address = harness.parse_address(cls.server.stdout.readline().split()[1])
        cls.url = f"https://localhost:{cls.address[1]}"

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        _, said = cls.server.communicate(timeout=harness.STOP_S)
        cls.folder.cleanup()
        assert cls.server.returncode == 0, said
        assert not any(sign in said for sign in harness.SANITIZER_SIGNS), said

    def curl(self, path, *options):
        return curl(self.ca, self.url + path, *options)

    def metrics(self):
        return harness.Metrics(self.curl("/metrics")[2].decode())

    def n_bad(self, reason):
        return self.metrics().total("headwater_http_bad_requests_total", reason=reason)

    @staticmethod
    def pattern(n, first=0):
        return bytes(ord("a") + i % 26 for i in range(first, first + n))

    def test_curl_gets_the_same_over_both_versions(self):
        big = os.path.join(self.folder.name, "big")
        with open(big, "wb") as file:
            file.write(b"x" * 2000000)
        for version, option in (("2", "--http2"), ("1.1", "--http1.1")):
            for n_bytes in (0, 1, 16384, 300000):
                self.assertEqual(self.curl(f"/bytes/{n_bytes}", option), (version, 200, self.pattern(n_bytes)))
            self.assertEqual(self.curl("/bytes/300000", option, "-r", "65530-65545"),
                             (version, 206, self.pattern(16, 65530)))
            self.assertEqual(self.curl("/bytes/10", option, "-H", 'If-None-Match: "e"'), (version, 304, b""))
            self.assertEqual(self.curl("/echo", option, "-d", "x" * 100000), (version, 200, b"x" * 100000))
            self.assertEqual(self.curl("/echo", option, "-d", f"@{big}", "-H", "Expect:")[:2], (version, 413))
            self.assertEqual(self.curl("/nowhere", option)[:2], (version, 404))
            self.assertEqual(self.curl("/count", option)[2], b"".join(b"%d\n" % i for i in range(10)))

    def test_curl_goes_back_to_http1_for_media(self):
        self.assertEqual(self.curl("/media", "--http2"), ("1.1", 200, b"media\n"))

    def test_nghttp_gets_many_streams_of_a_connection(self):
        urls = [f"{self.url}/bytes/{50000 + i}" for i in range(40)]
        got = subprocess.run([harness.tool("nghttp"), "-s", "-n", *urls], check=True, capture_output=True,
                             text=True, timeout=30).stdout
        rows = re.findall(r"^ +\d+ .* (\d{3}) +(\S+) /bytes/(\d+)$", got, re.M)
        self.assertEqual(sorted(int(n) for _, _, n in rows), [50000 + i for i in range(40)], got)
        self.assertEqual({status for status, _, _ in rows}, {"200"})

    def test_h2load_loses_no_request(self):
        for n_streams, size in ((1, 1000), (100, 1000), (32, 100000)):
            got = subprocess.run([harness.tool("h2load"), "-n", "1500", "-c", "5", "-m", str(n_streams),
                                  f"{self.url}/bytes/{size}"], check=True, capture_output=True, text=True,
                                 timeout=60).stdout
            self.assertIn("1500 succeeded, 0 failed, 0 errored", got)
            self.assertIn(f"({1500 * size}) data", got)

    # --- peers that do wrong ---

    def connect(self):
        return connect(self.ca, self.address)

    def goaway_after(self, data):
        """Sends data; the code of GOAWAY that the server ends with."""
        with self.connect() as sock:
            got = b""
            try:
                sock.sendall(PREFACE + frame(SETTINGS, 0, 0) + data)
                while more := sock.recv(65536):
                    got += more
            except (ConnectionError, ssl.SSLError):
                pass  # it closed while we were sending
        return [struct.unpack(">I", payload[4:8])[0] for kind, _, _, payload in frames_of(got) if kind == GOAWAY]

    def test_floods_are_cut_off_while_others_are_served(self):
        resets = b"".join(frame(HEADERS, 5, 2 * i + 1, GET_ROOT) + frame(RST_STREAM, 0, 2 * i + 1, struct.pack(">I", 8))
                          for i in range(5000))
        floods = {"rapid_resets": resets, "ping_flood": frame(PING, 0, 0, b"12345678") * 5000,
                  "settings_flood": frame(SETTINGS, 0, 0) * 5000,
                  "window_flood": frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)) * 5000}
        before = self.metrics()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            load = pool.submit(subprocess.run, [harness.tool("h2load"), "-D", "3", "-c", "2", "-m", "10",
                                                f"{self.url}/bytes/20000"], capture_output=True, text=True, timeout=60)
            codes = {reason: self.goaway_after(data) for reason, data in floods.items()}
            others = load.result().stdout
        for reason, code in codes.items():
            self.assertIn(code, ([ENHANCE_YOUR_CALM], []), reason)  # a reset may overtake what we read
            self.assertEqual(self.n_bad(reason) - before.total("headwater_http_bad_requests_total", reason=reason), 1)
        self.assertTrue(any(codes.values()), codes)
        self.assertRegex(others, r" [1-9]\d* succeeded, 0 failed, 0 errored")

    def test_plain_request_on_a_connection_that_agreed_on_h2_is_refused(self):
        before = self.n_bad("syntax")
        with self.connect() as sock:
            sock.sendall(b"GET /bytes/1 HTTP/1.1\r\nHost: a\r\n\r\n")
            while sock.recv(65536):
                pass
        self.assertEqual(self.n_bad("syntax"), before + 1)


class NodeCase(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.ca = certs.Authority(folder.name, "test-ca")
        cls.cluster_args = {"origins": 1, "edges": 0, "schedulers": 0, "node_set": {
            "https.listen": "127.0.0.1:0", "tls.certificates": ["=".join(cls.ca.issue("localhost", HERE))]}}
        super().setUpClass()
        cls.node = cls.cluster.origins[0]
        cls.url = f"https://localhost:{cls.node.https[1]}"

    def publish(self, stream):
        publisher = media.publish(media.clip("h264_aac"), f"rtmp://127.0.0.1:{self.node.rtmp[1]}/{stream}",
                                  self.cluster.folder, loop=True)
        self.addCleanup(publisher.stop)
        harness.wait_until(lambda: any(s["name"] == stream for s in self.node.streams()), 10, "stream is live")


class NodeTest(NodeCase):
    """What the port of HTTPS of a node does of it."""

    def test_short_answers_come_over_http2(self):
        self.assertEqual(curl(self.ca, self.url + "/healthz", "--http2")[:2], ("2", 200))
        self.assertEqual(curl(self.ca, self.url + "/live/a.nothing", "--http2")[:2], ("2", 404))

    def test_media_comes_over_http1_to_who_asked_for_http2(self):
        stream = "live/http2"
        self.publish(stream)
        version, status, body = curl(self.ca, f"{self.url}/{stream}.flv", "--http2", "--max-time", "3")
        self.assertEqual((version, status, body[:3]), ("1.1", 200, b"FLV"))
        self.assertGreater(len(body), 10000)
        self.assertEqual(curl(self.ca, self.url + "/healthz", "--http2")[:2], ("2", 200))


class DrainTest(NodeCase):
    def test_node_that_drains_ends_connections_with_goaway_and_takes_others(self):
        self.publish("live/stays")
        got = b""
        with connect(self.ca, self.node.https) as sock:
            sock.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, 5, 1, GET_ROOT))
            while not any(kind == HEADERS for kind, *_ in frames_of(got)):
                got += sock.recv(65536)
            self.node.signal(signal.SIGTERM)
            while more := sock.recv(65536):
                got += more
        goaways = [payload for kind, _, _, payload in frames_of(got) if kind == GOAWAY]
        self.assertEqual([struct.unpack(">II", payload[:8]) for payload in goaways], [(1, 0)])
        self.assertTrue(self.node.is_alive(), "the publisher keeps it")
        self.assertEqual(curl(self.ca, self.url + "/healthz", "--http2")[:2], ("2", 200))


if __name__ == "__main__":
    unittest.main()
