"""What a node tells of its sessions and streams, and the event stream of the API that says it."""

import os
import shutil
import signal
import subprocess
import tempfile
import unittest

import certs
import events
import harness
import media
import outputs

ONE_NODE = dict(schedulers=0, origins=1, edges=0)
FFMPEG_FORMS = ("rtmp", "flv", "ts", "mp4", "m3u8")


def url_of(node, stream, form):
    if form == "rtmp":
        return node.url(stream)
    return f"http://{node.http[0]}:{node.http[1]}/{stream}.{form}"


class EventsTest(harness.ClusterTest):
    """One node, some streams on it."""

    cluster_args = dict(**ONE_NODE, node_set={"publish_stall_ms": "2000", "publisher_grace_ms": "500",
                                              "hls.idle_ms": "1500"})

    def setUp(self):
        self.node = self.cluster.origins[0]
        self.stream = f"live/{self.id().rsplit('_', 1)[1]}"

    def reader(self, *args, **more):
        reader = events.Reader(self.node, *args, **more)
        self.addCleanup(reader.close)
        return reader

    def publish(self, flags=(), url=None):
        publisher = media.publish(media.clip("small"), url or self.node.url(self.stream), self.cluster.folder,
                                  loop=True, flags=flags)
        self.addCleanup(publisher.kill)
        return publisher

    def ffmpeg(self, form):
        player = media.play_md5(url_of(self.node, self.stream, form), os.path.join(
            self.cluster.folder, f"{form}-{self.id()}.md5"), self.cluster.folder, name=f"player-{form}")
        self.addCleanup(player.kill)
        return player

    def test_every_form_of_playing_is_told_once(self):
        reader = self.reader(f"?stream={self.stream}")
        self.publish()
        reader.wait("on_publish")
        players = {form: self.ffmpeg(form) for form in FFMPEG_FORMS}
        protocols = {"m3u8": "hls"}
        for form in players:
            reader.wait("on_play", protocol=protocols.get(form, form))
        sockets = {f"ws-{form}": outputs.Player(self.node.http, self.stream, form, True) for form in outputs.FORMS}
        for name, player in sockets.items():
            reader.wait("on_play", protocol=name)
            harness.wait_until(lambda: player.has(20000), 15, name)
        for player in players.values():
            player.kill()
        for player in sockets.values():
            player.stop()
        n_players = len(players) + len(sockets)
        harness.wait_until(lambda: len(reader.of("on_play_done")) == n_players, 20, "all ends are told")
        for done in reader.of("on_play_done"):
            self.assertEqual(len(reader.of("on_play", session=done["session"])), 1, done)
            self.assertEqual(len(reader.of("on_play_done", session=done["session"])), 1, done)
            self.assertGreater(done["bytes_out"], 3000, done)
            self.assertTrue(done["reason"], done)
            self.assertEqual((done["stream"], done["kind"], done["node"]), (self.stream, "play", self.node.id))
        reader.wait("on_idle")
        self.assertEqual(len(reader.of("on_idle")), 1)

    def test_byte_sums_of_http_players_are_true(self):
        """They were always 0 in another server: both while it plays and in the end."""
        reader = self.reader(f"?stream={self.stream}")
        self.publish()
        players = {form: outputs.Player(self.node.http, self.stream, form) for form in ("flv", "ts")}
        for form, player in players.items():
            harness.wait_until(lambda: player.has(50000), 15, form)
            listed = next(s for s in self.node.sessions() if s["protocol"] == form and s["stream"] == self.stream)
            self.assertGreater(listed["bytes_out"], 50000)
            harness.wait_until(lambda: harness.get_json(self.node.admin, f"/api/v1/sessions/{listed['id']}")[
                "bytes_out"] > listed["bytes_out"], 10, "it grows")
            status, _, _ = harness.http_request(self.node.admin, f"/api/v1/sessions/{listed['id']}", "DELETE",
                                                {"Content-Type": "application/json"})
            self.assertEqual(status, 204)
            done = reader.wait("on_play_done", protocol=form)
            head_bytes = done["bytes_out"] - len(player.end().bytes)
            self.assertTrue(100 < head_bytes < 600, (form, done, len(player.bytes)))
            self.assertEqual(done["reason"], "closed by the operator")

    def test_publishers_are_told_with_their_bytes(self):
        for name, url, flags in (("a", self.node.url(f"{self.stream}a"), ()),
                                 ("b", self.node.url(f"{self.stream}b", "http"), ("-method", "POST"))):
            reader = self.reader(f"?stream={self.stream}{name}&types=on_publish,on_publish_done")
            path = media.clip("small", 4)
            publisher = media.publish(path, url, self.cluster.folder, flags=flags)
            began = reader.wait("on_publish", kind="publish")
            publisher.popen.wait(30)
            done = reader.wait("on_publish_done", session=began["session"])
            self.assertTrue(0.9 < done["bytes_in"] / os.path.getsize(path) < 1.15, done)
            self.assertGreaterEqual(done["seconds"], 3)
            self.assertTrue(done["reason"])
            self.assertEqual([e["event"] for e in reader.events], ["on_publish", "on_publish_done"])

    def test_a_publisher_that_falls_silent_is_told_as_stall(self):
        reader = self.reader(f"?stream={self.stream}")
        publisher = self.publish()
        began = reader.wait("on_publish")
        publisher.signal(signal.SIGSTOP)
        stall = reader.wait("on_publish_stall", timeout_s=10)
        self.assertEqual(stall["session"], began["session"])
        self.assertGreaterEqual(stall["silent_ms"], 2000)
        done = reader.wait("on_publish_done")
        self.assertIn("publish_stall_ms", done["reason"])
        publisher.signal(signal.SIGCONT)

    def test_what_nobody_has_is_told_once_as_missing(self):
        reader = self.reader(f"?stream={self.stream}")
        player = outputs.Player(self.node.http, self.stream, "flv")
        reader.wait("on_stream_not_found")
        self.publish()
        harness.wait_until(lambda: player.has(20000), 15, "it plays in the end")
        player.stop()
        reader.wait("on_play_done")
        self.assertEqual(len(reader.of("on_stream_not_found")), 1)
        self.assertEqual(len(reader.of("on_play")), 1)

    def test_rtmp_connect_is_told_without_what_may_be_a_key(self):
        reader = self.reader("?types=on_rtmp_connect")
        self.publish(url=f"rtmp://{self.node.rtmp[0]}:{self.node.rtmp[1]}/live?token=secret/k",
                     flags=("-rtmp_app", "live?token=secret", "-rtmp_playpath", "connect"))
        told = reader.wait("on_rtmp_connect")
        self.assertEqual(told["app"], "live")
        self.assertTrue(told["tc_url"].startswith("rtmp://"), told)
        self.assertNotIn("secret", str(told))
        self.assertTrue(told["flash_ver"])

    def test_last_event_id_goes_on_where_it_was(self):
        reader = self.reader("?types=on_publish,on_publish_done")
        media.publish(media.clip("small", 4), self.node.url(self.stream), self.cluster.folder).popen.wait(30)
        first = reader.wait("on_publish", stream=self.stream)
        reader.wait("on_publish_done", stream=self.stream)
        again = self.reader(f"?stream={self.stream}", last_id=first["id"])
        again.wait("on_publish_done")
        self.assertEqual([e["id"] for e in again.events],
                         [e["id"] for e in reader.events if e["data"].get("stream") == self.stream][1:])
        self.assertEqual(again.of("lost"), [])
        newest = self.reader(last_id=again.last_id)
        self.assertEqual(newest.events, [])

    def test_last_event_id_of_another_process_is_told_as_lost(self):
        self.reader()
        for last_id in ("0-1", "nonsense"):
            lost = self.reader(last_id=last_id)
            self.assertEqual(lost.wait("lost")["after"], last_id)
            self.assertEqual(lost.events[0]["event"], "lost")

    def test_ids_grow_by_one(self):
        reader = self.reader()
        self.publish()
        reader.wait("on_publish", stream=self.stream)
        numbers = [int(e["id"].rpartition("-")[2]) for e in reader.events]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))

    def test_wrong_questions_are_refused(self):
        for query, said in (("types=on_play,on_nothing", "on_nothing"), ("types=", "types"), ("stream=x", "stream"),
                            ("type=on_play", "type"), ("stream=" + "x" * 2000, "stream")):
            status, _, body = harness.http_request(self.node.admin, f"/api/v1/events?{query}")
            self.assertEqual(status, 400, query)
            self.assertIn(said, body.decode())

    def test_head_says_what_a_get_would_begin(self):
        done = subprocess.run([harness.tool("curl"), "-sI", "http://%s:%d/api/v1/events" % self.node.admin],
                              capture_output=True, text=True, timeout=10, check=True)
        self.assertIn(" 200 ", done.stdout)
        self.assertIn("text/event-stream", done.stdout)


class TlsTest(unittest.TestCase):
    def test_events_come_over_http2_and_http1_alike(self):
        folder = tempfile.mkdtemp(prefix="headwater-test-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        authority = certs.Authority(folder, "authority")
        pair = "=".join(authority.issue("node", ["IP:127.0.0.1"]))
        with harness.Cluster(**ONE_NODE, node_set={"admin.tls": "true", "tls.certificates": pair}) as cluster:
            node = cluster.origins[0]
            readers = [events.Reader(node, scheme="https", flags=("--cacert", authority.path, version))
                       for version in ("--http1.1", "--http2")]
            publisher = media.publish(media.clip("small"), node.url("live/tls"), cluster.folder, loop=True)
            told = [reader.wait("on_publish", stream="live/tls") for reader in readers]
            self.assertEqual(told[0], told[1])
            for reader in readers:
                reader.close()
            publisher.kill()


class ShutdownTest(unittest.TestCase):
    def test_the_end_of_the_node_ends_each_session_once(self):
        with harness.Cluster(**ONE_NODE, node_set={"drain_timeout_s": "1"}) as cluster:
            node = cluster.origins[0]
            reader = events.Reader(node)
            publisher = media.publish(media.clip("small"), node.url("live/end"), cluster.folder, loop=True)
            players = [outputs.Player(node.http, "live/end", form) for form in outputs.FORMS]
            for player in players:
                harness.wait_until(lambda: player.has(10000), 15, player.name)
            node.signal(signal.SIGTERM)
            reader.wait("on_server_stop", reason="signal")
            harness.wait_until(lambda: len(reader.of("on_play_done")) == len(players), 10, "all ends are told")
            self.assertEqual({e["reason"] for e in reader.of("on_play_done")}, {"this node is shutting down"})
            reader.wait("on_publish_done")
            self.assertEqual(len(reader.of("on_publish_done")), 1)
            node.popen.wait(20)
            node.expect_death = True
            publisher.kill()
            for player in players:
                player.end()
            reader.close()


class RelayTest(harness.ClusterTest):
    """Nodes that fetch and forward for people are not people."""

    cluster_args = dict(origins=1, edges=1)

    def test_each_person_is_told_where_it_is_connected(self):
        origin, edge = self.cluster.origins[0], self.cluster.edges[0]
        at_origin, at_edge = events.Reader(origin), events.Reader(edge)
        publisher = media.publish(media.clip("small"), edge.url("live/relayed"), self.cluster.folder, loop=True)
        at_edge.wait("on_publish", stream="live/relayed", protocol="rtmp")
        self.cluster.wait_route("live/relayed")
        player = outputs.Player(origin.http, "live/relayed", "flv")
        at_origin.wait("on_play", stream="live/relayed")
        harness.wait_until(lambda: player.has(10000), 15, "it plays")
        player.stop()
        at_origin.wait("on_play_done")
        publisher.kill()
        at_edge.wait("on_publish_done")
        harness.wait_until(lambda: not any(s["kind"] == "publish" for s in origin.sessions()), 15, "it is over")
        self.assertEqual(at_origin.of("on_publish") + at_origin.of("on_publish_done"), [])
        self.assertEqual(at_edge.of("on_play") + at_edge.of("on_play_done"), [])
        for reader in (at_origin, at_edge):
            reader.close()


if __name__ == "__main__":
    harness.main()
