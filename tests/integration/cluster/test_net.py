"""The hosts and cables that the other tests stand on: what is cut is cut, what is thin is thin, and nothing is left
when a test is killed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import harness
from cluster import cells, net, things

DELAY_MS = 150


class Pipe:
    """A TCP connection from one host to another."""

    def __init__(self, sender, receiver):
        with receiver.inside(), socket.create_server((receiver.ip, 0)) as listener:
            with sender.inside():
                self.near = socket.create_connection(listener.getsockname(), 5)
            self.far = listener.accept()[0]
        self.far.settimeout(0.3)

    def passes(self):
        """Whether bytes arrive soon."""
        self.near.sendall(b"x")
        try:
            return bool(self.far.recv(4096))
        except TimeoutError:
            return False

    def wait_passes(self):
        harness.wait_until(self.passes, 10, "bytes arrive")

    def take(self, n_bytes):
        """Sends so many; returns the seconds until all have come."""
        began, got = time.monotonic(), 0
        self.far.settimeout(10)
        self.near.setblocking(False)
        left = memoryview(bytes(n_bytes))
        while got < n_bytes:
            try:
                left = left[self.near.send(left):] if left else left
            except BlockingIOError:
                pass
            got += len(self.far.recv(65536))
        return time.monotonic() - began

    def close(self):
        self.near.close()
        self.far.close()


class NetTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        why = net.why_not()
        if why:
            print(f"SKIP: no network namespaces here ({why})", flush=True)
            raise unittest.SkipTest(why)
        cls.net = net.Net()
        cls.hosts = [cls.net.host(name) for name in ("a", "b", "c")]

    @classmethod
    def tearDownClass(cls):
        cls.net.close()

    def pipe(self, sender, receiver):
        pipe = Pipe(sender, receiver)
        self.addCleanup(pipe.close)
        self.assertTrue(pipe.passes())
        return pipe

    def test_a_cable_out_stops_all_and_a_cable_in_lets_it_go_on(self):
        a, b, c = self.hosts
        cut, others = self.pipe(a, b), self.pipe(a, c)
        b.unplug()
        self.assertFalse(cut.passes())
        self.assertTrue(others.passes())
        b.plug()
        cut.wait_passes()

    def test_a_partition_keeps_two_sets_of_hosts_from_each_other(self):
        a, b, c = self.hosts
        pipes = {"a to b": self.pipe(a, b), "a to c": self.pipe(a, c), "b to c": self.pipe(b, c)}
        self.net.part([a], [b, c])
        self.assertEqual({name: pipe.passes() for name, pipe in pipes.items()},
                         {"a to b": False, "a to c": False, "b to c": True})
        with self.assertRaises(TimeoutError), a.inside():
            socket.create_connection((b.ip, 1), 0.5)
        self.net.mend()
        for pipe in pipes.values():
            pipe.wait_passes()

    def test_loss_is_of_what_comes_in(self):
        a, b, _ = self.hosts
        for percent, low, high in ((0, 1000, 1000), (30, 600, 800), (0, 1000, 1000)):
            b.lose(percent)
            with a.inside(), socket.socket(type=socket.SOCK_DGRAM) as near:
                with b.inside(), socket.socket(type=socket.SOCK_DGRAM) as far:
                    far.bind((b.ip, 0))
                    far.settimeout(0.2)
                    n = self.n_arrived(near, far, 1000)
            self.assertTrue(low <= n <= high, f"{n} of 1000 with {percent} % of loss")

    @staticmethod
    def n_arrived(near, far, n_sent):
        n = 0
        for _ in range(n_sent // 50):
            for _ in range(50):  # few enough for a receive buffer
                near.sendto(b"x", far.getsockname())
            with contextlib.suppress(TimeoutError):
                for _ in range(50):
                    far.recv(16)
                    n += 1
        return n

    def test_a_thin_link_carries_no_more(self):
        a, b, _ = self.hosts
        pipe = self.pipe(a, b)
        b.thin(2000)
        seconds = pipe.take(500_000)
        b.thin(0)
        self.assertGreater(seconds, 1.5)  # 4 Mbit, but for what a queue holds
        self.assertLess(self.pipe(a, b).take(500_000), 1)

    def test_the_proxy_holds_back_what_passes_both_ways(self):
        a, b, _ = self.hosts
        with b.inside():
            listener = socket.create_server((b.ip, 0))
            proxy = subprocess.Popen([sys.executable, "-B", net.__file__.replace("net.py", "delay_proxy.py"),
                                      f"{b.ip}:0", "%s:%d" % listener.getsockname(), str(DELAY_MS)],
                                     stdout=subprocess.PIPE, text=True)
        self.addCleanup(proxy.stdout.close)
        self.addCleanup(proxy.wait)
        self.addCleanup(proxy.kill)
        address = harness.parse_address(proxy.stdout.readline().split()[1])
        with listener, a.inside(), socket.create_connection(address, 5) as near:
            with listener.accept()[0] as far:
                for sender, receiver in ((near, far), (far, near)):
                    began = time.monotonic()
                    sender.sendall(b"slow")
                    self.assertEqual(receiver.recv(16), b"slow")
                    self.assertGreaterEqual(time.monotonic() - began, DELAY_MS / 1000)
                near.shutdown(socket.SHUT_WR)
                self.assertEqual(far.recv(16), b"")

    def test_what_runs_in_hosts_dies_with_the_test(self):
        script = ("import subprocess, sys, time; sys.path.insert(0, sys.argv[1])\n"
                  "from cluster import net\n"
                  "host = net.Net().host('doomed')\n"
                  "with host.inside(): child = subprocess.Popen(['sleep', '1000'])\n"
                  "child.send_signal(19)\n"  # a frozen one, too
                  "print(child.pid, flush=True); time.sleep(1000)\n")
        folder = os.path.dirname(os.path.dirname(net.__file__))
        test = subprocess.Popen([sys.executable, "-B", "-c", script, folder], stdout=subprocess.PIPE, text=True)
        pid = int(test.stdout.readline())
        os.kill(test.pid, signal.SIGKILL)
        test.wait()
        test.stdout.close()

        def is_gone():
            try:
                with open(f"/proc/{pid}/stat") as file:
                    return file.read().rsplit(")", 1)[1].split()[0] == "Z"
            except FileNotFoundError:
                return True
        harness.wait_until(is_gone, 10, "the child is killed")


class MatrixTest(unittest.TestCase):
    def test_everything_is_struck_in_every_way_or_left_out_for_a_reason(self):
        for what in cells.THINGS:
            for how in things.HOWS:
                struck = [cell for cell in cells.CELLS if how == cell.how and cell.what.startswith(what)]
                reasons = [why for left, hows, why in cells.LEFT_OUT if left == what and how in hows]
                self.assertTrue(bool(struck) != bool(reasons), (what, how))
        self.assertEqual(sum(cell.quick for cell in cells.CELLS), 8)


if __name__ == "__main__":
    harness.main()
