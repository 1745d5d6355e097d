"""Hooks that are asked: allow, deny, redirect and rename for publishers and viewers; receivers that fail; answers
that are kept; and a stream that nobody has, which a receiver knows where to find."""

import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

import harness
import hls
import media
import records
import swarm
from receiver import Receiver
from websocket import WebSocket

QUICK = "timeout_ms=300 retries=1"


def _status(node, path):
    """Of a viewer who leaves as soon as it is let in, or who is not."""
    done = subprocess.run(["curl", "-s", "--max-time", "1.5", "-o", "/dev/null", "-w",
                           "%{http_code} %{redirect_url}", f"http://%s:%d{path}" % node.http],
                          capture_output=True, text=True)
    status, _, url = done.stdout.partition(" ")
    return int(status), url


class GatesTest(harness.ClusterTest):
    """One node; what its gates answer is each test's own."""

    @classmethod
    def setUpClass(cls):
        cls.answers = {}  # stream -> (status, answer), or a function of the question
        cls.receiver = Receiver(answer=cls._answer)
        gate = f"{cls.receiver.url('/gate')} mode=gate events=on_publish|on_play {QUICK}"
        cls.cluster_args = {"origins": 1, "edges": 0, "schedulers": 0,
                            "node_set": {"hooks.targets": [gate], "play_wait_ms": "3000"}}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.receiver.close()

    @classmethod
    def _answer(cls, _, body):
        question = body["question"]
        answer = cls.answers.get(question["stream"], (200, None))
        return answer(question) if callable(answer) else answer

    @property
    def node(self):
        return self.cluster.origins[0]

    def asked(self, stream):
        return [q for q in self.receiver.questions() if q["stream"] == stream]

    def publish(self, stream, clip="h264_aac"):
        publisher = media.publish(media.clip(clip, 10), self.node.url(stream), self.cluster.folder, loop=True)
        self.addCleanup(publisher.kill)
        return publisher

    def wait_live(self, stream):
        harness.wait_until(lambda: stream in {s["name"] for s in self.node.streams() if s["live"]}, what=stream)

    def test_allowed_with_what_is_known_of_the_client(self):
        self.publish("gate/a?token=x+y")
        self.wait_live("gate/a")
        self.assertEqual(_status(self.node, "/gate/a.flv?k=v")[0], 200)
        publish, play = self.asked("gate/a")
        self.assertEqual((publish["event"], publish["query"], publish["protocol"]), ("on_publish", "token=x+y", "rtmp"))
        self.assertEqual((play["event"], play["query"], play["protocol"]), ("on_play", "k=v", "flv"))
        self.assertTrue(play["peer"].startswith("127.0.0.1:"))
        self.assertTrue(play["agent"].startswith("curl"))
        self.assertNotEqual(publish["id"], play["id"])

    def test_denied_with_status_and_reason(self):
        self.answers["gate/d"] = lambda q: ((200, {"allow": False, "reason": "no such customer"})
                                            if q["event"] == "on_publish" else (404, None))
        self.assertEqual(_status(self.node, "/gate/d.flv")[0], 404)
        publisher = self.publish("gate/d")
        publisher.popen.wait(20)
        self.assertIn("no such customer", self.node.log() + publisher.log())
        self.assertNotIn("gate/d", {s["name"] for s in self.node.streams() if s["live"]})

    def test_redirected(self):
        self.answers["gate/r"] = (200, {"redirect": "http://elsewhere.example/gate/r.flv"})
        self.assertEqual(_status(self.node, "/gate/r.flv"), (302, "http://elsewhere.example/gate/r.flv"))

    def test_renamed(self):
        self.answers["gate/old"] = (200, {"rename": "gate/new"})
        self.publish("gate/old")
        self.wait_live("gate/new")
        self.assertEqual(_status(self.node, "/gate/old.flv")[0], 200)

    def test_answers_are_kept_as_they_say(self):
        self.publish("gate/c")
        self.wait_live("gate/c")
        self.answers["gate/c"] = (200, {"cache_s": 60})
        self.answers["gate/cd"] = (403, {"allow": False, "cache_s": 60})
        for _ in range(3):
            self.assertEqual(_status(self.node, "/gate/c.flv")[0], 200)
            self.assertEqual(_status(self.node, "/gate/cd.flv")[0], 403)
        self.assertEqual([q["event"] for q in self.asked("gate/c")], ["on_publish", "on_play"])
        self.assertEqual(len(self.asked("gate/cd")), 1)
        _status(self.node, "/gate/c.flv?other")
        self.assertEqual(len(self.asked("gate/c")), 3)

    def redirected(self, client):
        """Where an RTMP client was sent."""
        info = next(info for info in client.session.infos if info["code"] == "NetConnection.Connect.Rejected")
        self.assertEqual(info["ex"]["code"], 302)
        return info["ex"]["redirect"]

    def test_redirects_are_said_in_the_words_of_each_protocol(self):
        there = "rtmp://elsewhere.example/gate/rr"
        self.answers["gate/rr"] = (200, {"redirect": there})
        clip = swarm.Clip(media.clip("small"))
        with swarm.Swarm() as flock:
            clients = [flock.publish(self.node.rtmp, "gate/rr", clip), flock.play_rtmp(self.node.rtmp, "gate/rr")]
            flock.until(lambda: all(c.session.infos for c in clients), 10, "both are told")
            self.assertEqual([self.redirected(client) for client in clients], [there] * 2)
        for path in ("/gate/rr.ts", "/gate/rr.m3u8", "/gate/rr/fmp4.m3u8"):
            self.assertEqual(_status(self.node, path), (302, there), path)
        ws = WebSocket(self.node.http, "/gate/rr.flv").open()
        self.assertEqual(ws.status, 302)
        ws.close()
        done = subprocess.run(["curl", "-s", "-T", media.clip("small"), "-o", "/dev/null", "-w",
                               "%{http_code} %{redirect_url}", "http://%s:%d/gate/rr.flv" % self.node.http],
                              capture_output=True, text=True, timeout=30)
        self.assertEqual(done.stdout, f"302 {there}")
        self.assertNotIn("gate/rr", {s["name"] for s in self.node.streams() if s["live"]})

    def test_another_name_is_the_sessions_from_then_on(self):
        self.answers["gate/old2"] = (200, {"rename": "gate/new2"})
        self.publish("gate/old2")
        self.wait_live("gate/new2")
        with swarm.Swarm() as flock:
            players = [flock.play_rtmp(self.node.rtmp, "gate/old2"), flock.play_flv(self.node.http, "gate/old2")]
            flock.until(lambda: all(p.log.n_video > 5 for p in players), 15, "both get it")
            names = {(s["kind"], s["stream"]) for s in self.node.sessions() if s["stream"].endswith("2")}
            self.assertEqual(names, {("publish", "gate/new2"), ("play", "gate/new2")})
        status, fields, _ = harness.http_request(self.node.http, "/gate/old2.m3u8?k=v")
        self.assertEqual((status, fields["location"]), (302, "/gate/new2.m3u8?k=v"))
        self.assertIn("#EXT-X-STREAM-INF", hls.Client(self.node.http, "gate/new2").multivariant())
        self.assertEqual([q["stream"] for q in self.asked("gate/new2")], ["gate/new2"])  # HLS is asked about again

    def test_pieces_are_for_whom_the_gate_lets_in(self):
        """No rule says so: the gate alone keeps others out."""
        self.publish("gate/p?k=yes")
        self.answers["gate/p"] = lambda q: (200 if q["query"].startswith("k=yes") else 403, None)
        self.wait_live("gate/p")
        client = hls.Client(self.node.http, "gate/p")
        status, _, text = client.get("/gate/p.m3u8?k=yes", timeout_s=20)
        self.assertEqual(status, 200)
        path = urllib.parse.urljoin("/gate/p.m3u8", hls.variants(text.decode())[0][1])
        playlist = hls.Playlist(client.get(path)[2].decode())
        harness.wait_until(lambda: hls.Playlist(client.get(path)[2].decode()).segments, 20, "a segment")
        playlist = hls.Playlist(client.get(path)[2].decode())
        for uri in (playlist.segments[-1]["uri"], playlist.maps[-1]):
            self.assertEqual(client.piece(uri)[0], 200)
            self.assertEqual(client.piece(uri.partition("?")[0])[0], 403)
        for other in ("/gate/p.m3u8", "/gate/p/ts.m3u8", path.partition("?")[0], "/gate/p.m3u8?session=h-0123456789ab"):
            self.assertEqual(client.get(other)[0], 403, other)

    def test_hls_viewer_is_asked_about_once(self):
        self.publish("gate/h")
        self.wait_live("gate/h")
        client = hls.Client(self.node.http, "gate/h")
        uri = next(line for line in client.multivariant().splitlines() if not line.startswith("#"))
        path = urllib.parse.urljoin("/gate/h.m3u8", uri)
        for _ in range(3):
            status, _, text = client.get(path)
            self.assertEqual(status, 200)
        segment = next(line for line in text.decode().splitlines() if line and not line.startswith("#"))
        self.assertEqual(client.get(urllib.parse.urljoin(path, segment))[0], 200)
        self.assertEqual([q["protocol"] for q in self.asked("gate/h")], ["rtmp", "hls"])

    def test_wrong_answers_are_failures(self):
        for i, answer in enumerate(((200, b"{"), (200, {"alow": False}), (200, {"allow": "yes"}), (500, None),
                                    (200, {"allow": False, "rename": "a/b"}), (200, b" " * 20000), (302, None),
                                    (200, {"redirect": "javascript:alert(1)"}), (200, {"rename": "../x"}))):
            self.answers[f"gate/w{i}"] = answer
            self.assertEqual(_status(self.node, f"/gate/w{i}.flv")[0], 503, answer)
            self.assertEqual(len(self.asked(f"gate/w{i}")), 2, answer)  # retries=1
        state, = harness.get_json(self.node.admin, "/api/v1/hooks")["items"]
        self.assertEqual((state["mode"], state["state"]), ("gate", "failing"))
        self.assertGreaterEqual(state["failed"], 9)
        self.assertNotIn("/gate", state["url"])


class PolicyTest(unittest.TestCase):
    def setUp(self):
        self.away = Receiver()
        self.away.close()

    def cluster(self, targets, **more):
        return harness.Cluster(origins=1, edges=0, schedulers=0, node_set={
            "hooks.targets": targets, "play_wait_ms": "3000", **more})

    def test_nobody_answers(self):
        for policy, status in (("open", 200), ("closed", 503)):
            target = f"{self.away.url()} mode=gate events=on_play fail={policy} {QUICK}"
            with self.cluster([target]) as cluster:
                node = cluster.origins[0]
                publisher = media.publish(media.clip("h264_aac", 10), node.url("p/a"), cluster.folder)
                harness.wait_until(lambda: any(s["live"] for s in node.streams()), what="live")
                self.assertEqual(_status(node, "/p/a.flv")[0], status)
                publisher.kill()

    def test_each_gate_has_a_say(self):
        first, second = Receiver(), Receiver(answer=lambda *_: (403, None))
        with self.cluster([f"{r.url()} mode=gate events=on_play {QUICK}" for r in (first, second)]) as cluster:
            self.assertEqual(_status(cluster.origins[0], "/p/a.flv")[0], 403)
        self.assertEqual((len(first.questions()), len(second.questions())), (1, 1))
        first.close()
        second.close()

    def test_rule_that_leaves_it_to_hooks(self):
        allows = Receiver(answer=lambda _, body: (200 if body["question"]["stream"] == "p/yes" else 403, None))
        with self.cluster([f"{allows.url()} mode=gate events=on_play {QUICK}"],
                          **{"access.rules": "p play=hook publish=hook"}) as cluster:
            node = cluster.origins[0]
            publisher = media.publish(media.clip("small", 1), node.url("p/yes"), cluster.folder)
            publisher.popen.wait(20)
            self.assertIn("no hook allows it", node.log())  # none is asked about publishers
            self.assertEqual(_status(node, "/p/no.flv")[0], 403)
            self.assertNotEqual(_status(node, "/p/yes.flv")[0], 403)
        allows.close()

    def test_stream_that_nobody_has_is_pulled_from_where_a_gate_says(self):
        with harness.Cluster(origins=1, edges=0, schedulers=0) as there:
            camera = there.origins[0]
            publisher = media.publish(media.clip("h264_aac", 10), camera.url("cam/7"), there.folder, loop=True)
            harness.wait_until(lambda: any(s["live"] for s in camera.streams()), what="live")
            answers = {"far/a": (200, {"source": camera.url("cam/7")}),
                       "far/b": (200, {"source": camera.url("cam/7", "http")}), "far/c": (404, None)}
            knows = Receiver(answer=lambda _, body: answers[body["question"]["stream"]])
            target = f"{knows.url()} mode=gate events=on_stream_not_found {QUICK}"
            told = Receiver()
            with self.cluster([target, f"{told.url()} events=on_pull_start|on_stream_not_found"],
                              **{"relay.allowed_networks": "127.0.0.0/8", "pull_idle_ms": "500"}) as cluster:
                node = cluster.origins[0]
                for stream in ("far/a", "far/b"):
                    self.assertEqual(_status(node, f"/{stream}.flv")[0], 200, stream)
                    told.wait_event("on_pull_start", stream=stream)
                self.assertEqual(_status(node, "/far/c.flv")[0], 0)  # it waits for a publisher
                harness.wait_until(lambda: not any(s["live"] for s in node.streams()), what="pulls end when idle")
            asked = [(q["event"], q["stream"]) for q in knows.questions()]
            self.assertEqual(asked, [("on_stream_not_found", name) for name in ("far/a", "far/b", "far/c")])
            publisher.kill()
            knows.close()
            told.close()

    def asked_at_once(self, answer, n=8):
        """Sessions that are asked about, when n viewers ask the same before anything is answered."""
        leave = threading.Event()
        gate = Receiver(answer=lambda *_: (leave.wait(30), (200, answer))[1])
        with self.cluster([f"{gate.url()} mode=gate events=on_play timeout_ms=30000"]) as cluster, swarm.Swarm() as flock:
            node, clip = cluster.origins[0], swarm.Clip(media.clip("small"))
            publisher = flock.publish(node.rtmp, "p/m", clip)
            flock.until(lambda: publisher.is_running, 15, "it publishes")
            viewers = [flock.play_flv(node.http, "p/m") for _ in range(n)]
            flock.until(lambda: len([s for s in node.sessions() if s["kind"] == "waiting"]) == n, 15, "all wait")
            leave.set()
            flock.until(lambda: all(v.log.n_video for v in viewers), 15, "all play")
            shared = node.metrics().total("headwater_gate_shared_total")
        gate.close()
        return len({q["session"] for q in gate.questions()}), shared

    def test_same_question_at_once_is_one_where_the_answer_may_be_kept(self):
        self.assertEqual(self.asked_at_once({"cache_s": 60}), (1, 7))

    def test_same_question_at_once_is_one_each_where_it_may_not(self):
        self.assertEqual(self.asked_at_once(None), (8, 0))

    def test_options_of_a_publish(self):
        """What the gate says of one publisher goes before what is configured, and ends with it."""
        said = {"p/rec": {"record": "on"}, "p/not": {"record": "off"}, "p/slow": {"ingress_bps": 1000},
                "p/over": {"duplicate": "takeover"}}
        gate = Receiver(answer=lambda _, body: (200, said.get(body["question"]["stream"])))
        with tempfile.TemporaryDirectory(prefix="headwater-gate-records-") as folder, self.cluster(
                [f"{gate.url()} mode=gate events=on_publish timeout_ms=20000"], **{
                    "record.dir": folder, "record.rules": "p/not", "record.min_free_bytes": "0", "limits.ingress_s": "1",
                    "publisher_grace_ms": "500"}) as cluster, swarm.Swarm() as flock:
            node, clip = cluster.origins[0], swarm.Clip(media.clip("small"))
            publishers = {name: flock.publish(node.rtmp, name, clip) for name in [*said, "p/plain"]}
            flock.until(lambda: all(p.is_running for p in publishers.values()), 15, "all publish")
            second = flock.publish(node.rtmp, "p/over", clip)
            flock.until(lambda: second.is_running and publishers["p/over"].closed, 10, "it is taken over")
            flock.until(lambda: publishers["p/slow"].closed, 15, "it sends too much")
            self.assertIn("limits.ingress_bps", publishers["p/slow"].session.statuses[-1][1])
            self.assertEqual({r["stream"] for r in harness.items(node.admin, "/api/v1/records/running")}, {"p/rec"})
            publishers["p/rec"].close()
            said["p/rec"] = None
            records.wait_listed(node, "p/rec", 1)
            again = flock.publish(node.rtmp, "p/rec", clip)
            flock.until(lambda: again.is_running, 10, "another publisher, of whom nothing is said")
            self.assertFalse(harness.items(node.admin, "/api/v1/records/running"))
            self.assertFalse(publishers["p/plain"].closed)
        gate.close()

    def test_source_is_guarded(self):
        knows = Receiver(answer=lambda *_: (200, {"source": self.away.url("/x.flv")}))
        with self.cluster([f"{knows.url()} mode=gate events=on_stream_not_found {QUICK}"]) as cluster:
            node = cluster.origins[0]
            self.assertNotEqual(_status(node, "/far/a.flv")[0], 200)
            node.wait_log("not a public address")
        knows.close()

    def test_hanging_gate_holds_nobody_but_who_asks(self):
        leave = threading.Event()
        hanging = Receiver(answer=lambda *_: (leave.wait(30), (200, None))[1])
        with self.cluster([f"{hanging.url()} mode=gate events=on_play timeout_ms=60000"]) as cluster:
            node = cluster.origins[0]
            publisher = media.publish(media.clip("h264_aac", 10), node.url("p/a"), cluster.folder)
            harness.wait_until(lambda: any(s["live"] for s in node.streams()), what="live")
            self.assertEqual(_status(node, "/p/a.flv")[0], 0)  # it asks, and leaves without an answer
            began = time.monotonic()
            self.assertEqual(harness.http_request(node.admin, "/metrics")[0], 200)
            self.assertLess(time.monotonic() - began, 2)
            publisher.kill()
            leave.set()
        hanging.close()


if __name__ == "__main__":
    harness.main()
