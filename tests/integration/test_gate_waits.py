"""Clients that wait for the answer of a gate, and what ends the waiting: a kick, a ban, a reload, the end of the
process or another one in its place. Nobody hangs, nobody is let in by an answer that comes later, all are told."""

import json
import os
import signal
import threading
import unittest

import harness
import media
import swarm
from receiver import Receiver
from test_replace import replace

KICKED, LEAVING = "closed by the operator", "this node is shutting down"
WEBSOCKET = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n"


class HangingGate(Receiver):
    """Answers nothing before leave is set, but to who says let=in."""

    def __init__(self):
        self.leave, self.waiting = threading.Event(), []
        super().__init__(answer=self._hang)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave.set()
        self.close()

    def _hang(self, _, body):
        if body["question"]["query"] != "let=in":
            self.waiting.append(body["question"]["stream"])
            self.leave.wait(60)
        return 200, None


class GateWaitsTest(unittest.TestCase):
    def setUp(self):
        self.gate = HangingGate()
        self.addCleanup(self.gate.__exit__)
        self.flock = swarm.Swarm()
        self.addCleanup(self.flock.__exit__)
        self.cluster = harness.Cluster(origins=1, edges=0, schedulers=0, node_set={
            "hooks.targets": [f"{self.gate.url()} mode=gate events=on_play|on_publish timeout_ms=60000"],
            "drain_timeout_s": "2", "play_wait_ms": "3000", "publisher_grace_ms": "500"})

    def run_node(self, **more):
        """Started apart from the cluster's own: replace() needs its socket."""
        path = os.path.join(self.cluster.folder, "handover")
        self.node = self.cluster.make_node("origin", 1, handover__socket=path, **more)
        self.cluster.origins.append(self.node)
        return self.node.learn()

    def http(self, line, more=""):
        return self.flock.raw(self.node.http, f"{line} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())

    def wait_at_gate(self, uploads=True):
        """One client of each kind; all are sessions."""
        before = len(self.gate.waiting)
        self.rtmp = [self.flock.publish(self.node.rtmp, "p/a", swarm.Clip(media.clip("small"))),
                     self.flock.play_rtmp(self.node.rtmp, "p/a")]
        self.requests = [self.http("GET /p/a.flv"), self.http("GET /p/a.ts"), self.http("GET /p/a.m3u8"),
                         self.http("GET /p/a.flv", WEBSOCKET)]
        if uploads:
            self.requests.append(self.http("POST /p/a.flv", "Transfer-Encoding: chunked\r\n"))
        n = len(self.rtmp) + len(self.requests)
        self.until(lambda: len(self.gate.waiting) == before + n, "all are asked about")
        self.until(lambda: len(self.waiting()) == n, "all are listed")
        return n

    def until(self, condition, what, timeout_s=15):
        self.flock.until(condition, timeout_s, what)

    def waiting(self):
        return [s for s in self.node.sessions() if s["stream"] == "p/a" and s["frames_in"] + s["frames_out"] == 0]

    def change(self, method, path, body=None):
        status, _, answer = harness.http_request(self.node.admin, path, method, {"Content-Type": "application/json"},
                                                 json.dumps(body) if body else None)
        self.assertLess(status, 300, answer)
        return json.loads(answer) if answer else None

    def assert_all_told(self, why, status=403):
        if not self.flock.until(lambda: all(c.closed for c in self.rtmp) and all(
                why.encode() in c.received for c in self.requests), 15, fail=False):
            self.fail(f"told: {[c.session.statuses for c in self.rtmp]}, {[bytes(c.received) for c in self.requests]}")
        publisher, player = self.rtmp
        self.assertEqual(publisher.session.statuses[-1], ("NetStream.Publish.Denied", why))
        self.assertEqual(player.session.statuses[-1], ("NetStream.Play.Failed", why))
        for request in self.requests:
            self.assertTrue(request.received.startswith(f"HTTP/1.1 {status} ".encode()), bytes(request.received))

    def assert_nobody_gets_in(self):
        """By the answer that comes at last; and whoever comes now is served."""
        n_frames = [len(c.received) for c in self.requests]
        self.gate.leave.set()
        publisher = self.flock.publish(self.node.rtmp, "p/new", swarm.Clip(media.clip("small")))
        viewer = self.flock.play_flv(self.node.http, "p/new")
        self.until(lambda: viewer.log.n_video > 5, "somebody else is served")
        self.assertEqual(self.waiting(), [])
        self.assertEqual([s["name"] for s in self.node.streams() if s["live"]], ["p/new"])
        self.assertEqual([len(c.received) for c in self.requests], n_frames)
        publisher.close()
        viewer.close()

    def test_kick_of_each_session(self):
        with self.cluster:
            self.run_node()
            n = self.wait_at_gate()
            ids = {s["id"] for s in self.waiting()}
            self.assertEqual(len(ids), n)
            for session in ids:
                self.change("DELETE", f"/api/v1/sessions/{session}")
            self.assert_all_told(KICKED)
            self.assert_nobody_gets_in()

    def test_kick_of_all_sessions_of_a_stream(self):
        with self.cluster:
            self.run_node()
            n = self.wait_at_gate()
            self.assertEqual(self.change("DELETE", "/api/v1/sessions?stream=p/a"), {"closed": n})
            self.assert_all_told(KICKED)
            self.assert_nobody_gets_in()

    def test_kick_of_the_viewers_of_a_stream(self):
        with self.cluster:
            self.run_node()
            n = self.wait_at_gate(uploads=False)
            self.assertEqual(self.change("DELETE", "/api/v1/sessions?stream=p/a&kind=play"), {"closed": n - 1})
            self.assertEqual([s["kind"] for s in self.waiting()], ["publish"])
            self.gate.leave.set()
            self.until(lambda: self.rtmp[0].is_running, "the publisher is let in")

    def test_kick_of_the_stream(self):
        with self.cluster:
            self.run_node()
            encoder = self.flock.publish(self.node.rtmp, "p/a?let=in", swarm.Clip(media.clip("small")))
            viewer = self.flock.play_rtmp(self.node.rtmp, "p/a?let=in")
            self.until(lambda: viewer.log.n_video > 5, "one viewer is in")
            self.wait_at_gate()
            self.change("DELETE", "/api/v1/streams/p/a")
            self.until(lambda: encoder.closed and viewer.closed, "who was in is out")
            self.assertEqual(viewer.codes[-1], "NetStream.Play.UnpublishNotify")
            self.assert_all_told(KICKED)
            self.assert_nobody_gets_in()

    def test_ban_of_the_address(self):
        with self.cluster:
            self.run_node()
            self.wait_at_gate()
            self.change("POST", "/api/v1/bans", {"id": "x", "net": "127.0.0.0/8"})
            self.assert_all_told(KICKED)
            self.change("DELETE", "/api/v1/bans/x")
            self.until(lambda: self.node.metrics().total("headwater_bans") == 0, "the ban is gone")
            self.assert_nobody_gets_in()

    def test_ban_for_an_app_alone(self):
        with self.cluster:
            self.run_node()
            self.wait_at_gate()
            self.change("POST", "/api/v1/bans", {"id": "x", "net": "127.0.0.1", "app": "q"})
            self.until(lambda: self.node.metrics().total("headwater_bans") == 1, "the ban is there")
            self.assertEqual(len(self.waiting()), 7)
            self.change("POST", "/api/v1/bans", {"id": "x", "net": "127.0.0.1", "app": "p"})
            self.assert_all_told(KICKED)
            self.change("DELETE", "/api/v1/bans/x")
            self.until(lambda: self.node.metrics().total("headwater_bans") == 0, "the ban is gone")
            self.assert_nobody_gets_in()

    def test_reload_changes_nothing(self):
        with self.cluster:
            self.run_node()
            self.wait_at_gate(uploads=False)
            for _ in range(3):
                size = self.node.log_size()
                self.node.signal(signal.SIGHUP)
                self.node.wait_log("configuration reloaded", 10, size)
            self.gate.leave.set()
            player = self.rtmp[1]
            self.until(lambda: player.log.n_video > 0, "who waited is served")

    def test_clients_that_leave_are_forgotten(self):
        with self.cluster:
            self.run_node()
            self.wait_at_gate()
            for client in self.rtmp + self.requests:
                client.close()
            self.until(lambda: {s["kind"] for s in self.node.sessions()} == {"publish"}, "viewers are gone at once")
            self.gate.leave.set()
            self.until(lambda: not self.node.sessions(), "publishers, of whom nothing is read, with the answer")

    def test_end_of_the_process(self):
        """Those who wait are waited for, until drain_timeout_s, and told then."""
        with self.cluster:
            self.run_node()
            self.wait_at_gate()
            self.node.expect_death = True
            self.node.signal(signal.SIGTERM)
            self.until(lambda: not self.node.is_alive(), "it ends")
            self.assert_all_told(LEAVING, 503)
            self.assertEqual(self.node.problems(self.node.popen.returncode), [])
            self.assertEqual(self.node.popen.returncode, 0)

    def test_end_of_the_process_at_once(self):
        with self.cluster:
            self.run_node(drain_timeout_s="0")
            self.wait_at_gate()
            self.node.expect_death = True
            self.node.signal(signal.SIGTERM)
            self.until(lambda: not self.node.is_alive(), "it ends")
            self.assert_all_told(LEAVING, 503)
            self.assertEqual(self.node.popen.returncode, 0)

    def replace(self):
        old, fresh = self.node, replace(self.cluster, self.node)
        self.until(lambda: fresh.log_lines(" msg=ready") or not fresh.is_alive(), "the new process is ready", 20)
        self.until(lambda: old.log_lines("msg=draining"), "the old one drains")
        old.expect_death = True
        self.node = fresh.learn()
        return old

    def test_replace_serves_who_waited_where_they_wait(self):
        with self.cluster:
            self.run_node(drain_timeout_s="60")
            self.wait_at_gate(uploads=False)
            old = self.replace()
            self.assertEqual(self.waiting(), [])  # they are the old one's
            self.gate.leave.set()
            publisher, player = self.rtmp
            self.until(lambda: publisher.is_running, "it publishes at the old process")
            self.until(lambda: player.log.n_video > 5 and b"FLV" in self.requests[0].received
                       and b"EXTM3U" in self.requests[2].received, "who waited is served there")
            for client in self.rtmp + self.requests:
                client.close()
            self.until(lambda: not old.is_alive(), "it ends when they have left", 40)
            self.assertEqual(old.problems(old.popen.returncode), [])
            self.assertEqual(old.popen.returncode, 0)

    def test_replace_ends_though_the_gate_never_answers(self):
        with self.cluster:
            self.run_node()
            self.wait_at_gate()
            old = self.replace()
            self.until(lambda: not old.is_alive(), "it ends after drain_timeout_s")
            self.assert_all_told(LEAVING, 503)
            self.assertEqual(old.problems(old.popen.returncode), [])
            self.assertEqual(old.popen.returncode, 0)
            self.assert_nobody_gets_in()


if __name__ == "__main__":
    harness.main()
