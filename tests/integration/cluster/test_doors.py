"""Hosts that hold too many connections of the scheduler: they are refused, and nobody else is."""

import os
import signal
import socket
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import harness
from cluster import net

PER_IP, ENTRY_PER_IP = 4, 2


class DoorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        why = net.why_not()
        if why:
            print(f"SKIP: no network namespaces here ({why})", flush=True)
            raise unittest.SkipTest(why)
        cls.net = net.Net()
        cls.addClassCleanup(cls.net.close)
        cls.home, cls.crowd, cls.guest = (cls.net.host(name) for name in ("home", "crowd", "guest"))
        folder = tempfile.TemporaryDirectory(prefix="headwater-doors-")
        cls.addClassCleanup(folder.cleanup)
        cls.file = os.path.join(folder.name, "scheduler.json")
        cls.limit(PER_IP)
        with cls.home.inside():
            cls.scheduler = harness.Process("scheduler", [os.path.join(harness.BIN_DIR, "headwater-scheduler"), "-c",
                                                          cls.file], folder.name)
        cls.addClassCleanup(cls.end_scheduler)
        ready = cls.scheduler.wait_ready()
        cls.api, cls.entry = harness.parse_address(ready["http"]), harness.parse_address(ready["entry"])

    @classmethod
    def end_scheduler(cls):
        problems = cls.scheduler.problems(cls.scheduler.stop())
        if problems:
            raise AssertionError("; ".join(problems))

    @classmethod
    def limit(cls, per_ip):
        with open(cls.file, "w") as file:
            file.write('{"http": {"listen": "%s:0"}, "entry": {"listen": "%s:0"}, "limits": {"connections_per_ip": %d,'
                       ' "entry_connections_per_ip": %d}}' % (cls.home.ip, cls.home.ip, per_ip, ENTRY_PER_IP))

    def connect(self, host, address):
        with host.inside():
            sock = socket.create_connection(address, 5)
        self.addCleanup(sock.close)
        return sock

    def is_served(self, sock):
        """Whether it answers; and stays open, as HTTP/1.1 does."""
        sock.settimeout(5)
        try:
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            return sock.recv(65536).startswith(b"HTTP/1.1 ")
        except ConnectionError:
            return False

    def serves(self, host, address):
        return self.is_served(self.connect(host, address))

    def refused(self):
        with self.guest.inside():
            status, _, text = harness.http_request(self.api, "/metrics")
        self.assertEqual(status, 200)
        return harness.Metrics(text.decode()).total("headwater_connections_refused_total", reason="per_ip")

    def fill(self, address, n):
        held = [self.connect(self.crowd, address) for _ in range(n)]
        self.assertEqual([self.is_served(sock) for sock in held], [True] * n)
        return held

    def test_host_with_too_many_of_the_api_is_refused_and_no_other(self):
        before = self.refused()
        held = self.fill(self.api, PER_IP)
        self.assertFalse(self.serves(self.crowd, self.api))
        self.assertTrue(self.serves(self.guest, self.api))
        self.assertTrue(self.serves(self.crowd, self.entry))
        self.assertEqual(self.refused(), before + 1)
        self.scheduler.wait_log(f"connection refused\" peer={self.crowd.ip}:")
        self.assertIn(f"(limits.connections_per_ip)\" limit={PER_IP}", self.scheduler.log())
        held[0].close()
        harness.wait_until(lambda: self.serves(self.crowd, self.api), 5, "there is room again")

    def test_host_with_too_many_of_the_entry_point_keeps_the_api(self):
        self.fill(self.entry, ENTRY_PER_IP)
        self.assertFalse(self.serves(self.crowd, self.entry))
        self.assertTrue(self.serves(self.crowd, self.api))
        self.assertTrue(self.serves(self.guest, self.entry))

    def test_reload_changes_the_limit(self):
        self.addCleanup(self.limit, PER_IP)
        self.fill(self.api, PER_IP)
        self.limit(PER_IP + 2)
        self.scheduler.popen.send_signal(signal.SIGHUP)
        harness.wait_until(lambda: self.serves(self.crowd, self.api), 5, "there is more room")


if __name__ == "__main__":
    harness.main()
