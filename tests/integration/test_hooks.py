"""Hooks that are told: every event of a publisher and its viewers, signed, in order, over HTTP and HTTPS; a
receiver that is away, and one that hangs."""

import os
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

import certs
import harness
import media
from receiver import Receiver

SECRET = "of the hooks"


def _node_set(**more):
    return {"hooks.update_s": "1", "publisher_grace_ms": "500", "play_wait_ms": "2500", **more}


class HooksTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="headwater-hooks-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.secret_path = os.path.join(self.folder, "secret")
        with open(self.secret_path, "w") as file:
            file.write(SECRET + "\n")
        self.receivers = []

    def tearDown(self):
        for receiver in self.receivers:
            receiver.close()

    def receiver(self, **args):
        self.receivers.append(Receiver(**args))
        return self.receivers[-1]

    def cluster(self, targets, **more):
        return harness.Cluster(origins=1, edges=0, schedulers=0,
                               node_set=_node_set(**{"hooks.targets": targets, **more}))

    def assert_in_order(self, receiver):
        """Each event once, as they were told."""
        self.assertEqual(receiver.problems, [])
        numbers = [int(event["id"].rpartition("-")[2]) for event in receiver.events()]
        self.assertEqual(numbers, sorted(set(numbers)))

    def hooks(self, node):
        return harness.get_json(node.admin, "/api/v1/hooks")["items"]

    def play_for_a_while(self, node, stream):
        """An FLV viewer over HTTP that gets media, and leaves."""
        done = subprocess.run(["curl", "-sf", "--max-time", "2", "-o", "/dev/null", "-w", "%{size_download}",
                               node.url(stream, "http")], capture_output=True, text=True)
        self.assertGreater(int(done.stdout), 10000)

    def test_events_of_a_publisher_and_its_viewers(self):
        told = self.receiver(secret=SECRET)
        with self.cluster([f"{told.url('/hook?key=k')} secret_file={self.secret_path}"],
                          **{"hls.mode": "always"}) as cluster:
            node = cluster.origins[0]
            publisher = media.publish(media.clip("h264_aac", 10), node.url("live/a"), cluster.folder)
            began = told.wait_event("on_publish", stream="live/a", protocol="rtmp")
            self.play_for_a_while(node, "live/a")
            told.wait_event("on_play_done", stream="live/a", protocol="flv")
            told.wait_event("on_idle", stream="live/a")
            segment = told.wait_event("on_hls_segment", stream="live/a")
            update = told.wait_event("on_update", published=1)
            publisher.kill()
            ended = told.wait_event("on_publish_done", stream="live/a", session=began["session"])
            harness.http_request(node.http, "/live/none.flv")
            told.wait_event("on_stream_not_found", stream="live/none")
            state, = self.hooks(node)
        names = [event["event"] for event in told.events()]
        self.assertEqual(names[0], "on_server_start")
        for name in ("on_rtmp_connect", "on_play", "on_server_stop"):
            self.assertIn(name, names)
        self.assertGreater(ended["bytes_in"], 10000)
        self.assertGreater(segment["duration_ms"], 0)
        self.assertEqual([stream["name"] for stream in update["streams"]], ["live/a"])
        self.assertEqual({event["node"] for event in told.events()}, {"origin-1"})
        self.assertEqual({path for path, _, _ in told.requests}, {"/hook?key=k"})
        self.assertEqual((state["url"], state["state"], state["dropped"]), (told.url(""), "ok", 0))
        self.assertGreater(state["sent"], 5)
        self.assert_in_order(told)

    def test_receiver_is_away_and_comes_back(self):
        told, other = self.receiver(), self.receiver()
        with self.cluster([told.url(), f"{other.url()} events=on_publish"]) as cluster:
            node = cluster.origins[0]
            told.wait_event("on_server_start")
            told.close()
            path = media.clip("small", 1)
            for i in range(6):
                publisher = media.publish(path, node.url(f"live/{i}"), cluster.folder, realtime=False)
                publisher.popen.wait()
            other.wait_event("on_publish", stream="live/5")
            harness.wait_until(lambda: self.hooks(node)[0]["state"] == "failing", what="failing")
            self.assertGreater(self.hooks(node)[0]["waiting"], 5)
            told.open()
            told.wait_event("on_publish_done", stream="live/5")
            self.assertEqual([e["stream"] for e in told.events("on_publish")], [f"live/{i}" for i in range(6)])
            self.assertEqual({e["event"] for e in other.events()}, {"on_publish"})
            self.assertEqual((self.hooks(node)[0]["failed"], self.hooks(node)[0]["dropped"]), (0, 0))
        self.assert_in_order(told)
        self.assertTrue(any(len(body["events"]) > 3 for _, body, _ in told.requests), "nothing came in a batch")

    def test_receiver_that_hangs_delays_nothing(self):
        leave = threading.Event()
        hanging = self.receiver(answer=lambda *_: (leave.wait(30), (200, None))[1])
        told = self.receiver()
        with self.cluster([f"{hanging.url()} timeout_ms=60000 queue=5", told.url()]) as cluster:
            node = cluster.origins[0]
            publisher = media.publish(media.clip("h264_aac", 10), node.url("live/a"), cluster.folder)
            told.wait_event("on_publish", stream="live/a")
            began = time.monotonic()
            self.play_for_a_while(node, "live/a")
            told.wait_event("on_play_done", stream="live/a")
            self.assertLess(time.monotonic() - began, 8)
            harness.wait_until(lambda: self.hooks(node)[0]["dropped"] > 0, what="the oldest give way")
            self.assertLessEqual(self.hooks(node)[0]["waiting"], 5)
            self.assertEqual(self.hooks(node)[0]["sent"], 0)
            publisher.kill()
            began = time.monotonic()
        self.assertLess(time.monotonic() - began, 8)  # drain_timeout_s, and a bounded time for hooks
        leave.set()
        self.assertTrue(told.events("on_server_stop"))

    def test_https_is_verified(self):
        authority = certs.Authority(self.folder, "authority")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("good", ["IP:127.0.0.1"]))
        wrong = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        wrong.load_cert_chain(*authority.issue("wrong", ["IP:127.0.0.9"]))
        told, never = self.receiver(context=context), self.receiver(context=wrong)
        with self.cluster([told.url(), never.url()], **{"tls.ca_file": authority.path}) as cluster:
            told.wait_event("on_server_start")
            told.wait_event("on_update")
            harness.wait_until(lambda: self.hooks(cluster.origins[0])[1]["state"] == "failing", what="failing")
        self.assertEqual(never.requests, [])

    def test_redirects_are_not_followed(self):
        elsewhere = self.receiver()
        redirecting = self.receiver(answer=lambda *_: (307, None))
        with self.cluster([redirecting.url()]) as cluster:
            state = harness.wait_until(lambda: self.hooks(cluster.origins[0])[0]["last_error"], what="last_error")
            self.assertIn("307", state)
        self.assertEqual(elsewhere.requests, [])

    def test_configuration_is_checked(self):
        for item, word in (("http://u:p@h/x", "user"), ("http://h/x events=on_pla", "on_pla"),
                           ("http://h/x mode=gate events=on_update", "on_update"), ("http://h/x what=1", "what"),
                           ("ftp://h/x", "http"), ("http://h/x batch=0", "batch")):
            done = subprocess.run([os.path.join(harness.BIN_DIR, "headwater-node"), "--check-config",
                                   "--set", f"hooks.targets={item}"], capture_output=True, text=True)
            self.assertNotEqual(done.returncode, 0, item)
            self.assertIn("hooks.targets[0]", done.stderr)
            self.assertIn(word, done.stderr)
            self.assertNotIn("u:p", done.stderr)


if __name__ == "__main__":
    harness.main()
