"""Encoders that publish at an edge: the stream is forwarded to an origin, and survives it."""

import os
import signal
import socket
import threading
import time

import follow
import harness
import media
import swarm

SECONDS = 6


def small():
    return swarm.Clip(media.clip("small"))


class ForwardTest(harness.ClusterTest):
    # Two GOPs: whoever moves in the middle of one finds all of it at the new place, also when the
    # next one has begun meanwhile.
    node_set = {"publisher_grace_ms": "10000", "upstream_stall_ms": "1500", "gop_cache.count": "2"}
    cluster_args = {"origins": 2, "edges": 2, "node_set": node_set}

    def owner_of(self, flock, stream, other_than=None):
        """The origin that the scheduler names as owner of the stream."""
        found = []

        def look():
            known = harness.items(self.cluster.scheduler.http, "/api/v1/streams")
            owners = [s["owner"]["node"] if isinstance(s.get("owner"), dict) else s.get("owner")
                      for s in known if s["name"] == stream]
            found[:] = [n for n in self.cluster.origins if n.id in owners and n is not other_than]
            return found

        flock.until(look, 15, f"the scheduler knows the owner of {stream}")
        return found[0]

    def play_everywhere(self, flock, stream, nodes=None):
        return [v for node in nodes or self.cluster.nodes for v in flock.play_both(node, stream)]

    def begin(self, flock, stream, nodes=None, at_owner=True):
        """A publisher at the first edge, viewers at all nodes (or all but the owner), and the origin that has the
        stream."""
        publisher = flock.publish(self.cluster.edges[0].rtmp, stream, small())
        flock.until(lambda: publisher.is_running, 15, "publish accepted")
        owner = self.owner_of(flock, stream)
        if not at_owner:
            nodes = [node for node in self.cluster.nodes if node is not owner]
        viewers = self.play_everywhere(flock, stream, nodes)
        flock.until_playing(viewers)
        return publisher, viewers, owner

    def assert_exact(self, publisher, viewers, allow_loss):
        """Nothing twice, nothing out of order, time as it was sent; nothing lost unless allowed: time goes on
        after a small gap then."""
        for viewer in viewers:
            where = f"{type(viewer).__name__} at {viewer.address}"
            self.assertFalse(viewer.closed, f"{where}: {viewer.error}")
            self.assertEqual(viewer.log.problems, [], where)
            if not allow_loss:
                self.assertEqual(viewer.log.missing(), 0, where)
            if not viewer.log.missing():
                self.assertEqual(len(viewer.log.offsets(publisher)), 1, f"{where}: time jumped")

    def publish_until_accepted(self, flock, node, stream, first_counter):
        """Encoders try again while their own end elsewhere is not known yet."""
        for _ in range(50):
            publisher = flock.publish(node.rtmp, stream, small(), first_counter=first_counter)
            flock.until(lambda: publisher.codes or publisher.closed, 15, f"answered by {node.id}")
            if publisher.is_running:
                return publisher
            publisher.close()
            flock.run(0.2)
        raise AssertionError(f"{node.id} refuses {stream}: {publisher.session.statuses}")

    def restart(self, node):
        fresh = self.cluster.restart_node(node)
        self.cluster.wait_settled()
        return fresh

    def test_stream_plays_at_every_node_and_belongs_to_an_origin(self):
        edge = self.cluster.edges[0]
        with follow.Swarm() as flock:
            publisher, viewers, owner = self.begin(flock, "live/everywhere")
            self.assert_exact(publisher, viewers, allow_loss=False)
            pushes = [s for s in edge.sessions() if s["kind"] == "push"]
            self.assertEqual([(s["protocol"], s["stream"]) for s in pushes], [("relay", "live/everywhere")])
            taken = [s for s in owner.sessions() if s["kind"] == "publish"]
            self.assertEqual([s["protocol"] for s in taken], ["relay"])
            epochs = {s["epoch"] for node in (edge, owner) for s in node.streams()
                      if s["name"] == "live/everywhere"}
            self.assertEqual(len(epochs), 1, "one epoch at edge and origin")
            publisher.stop()
            flock.until(lambda: not [s for s in owner.sessions() if s["kind"] == "publish"], 5,
                        "the origin lets go with the encoder")
            self.assertEqual([s for s in edge.sessions() if s["kind"] == "push"], [])

    def test_origin_is_killed_and_the_encoder_stays(self):
        with follow.Swarm() as flock:
            publisher, viewers, first = self.begin(flock, "live/killed", at_owner=False)
            swarm.allow_jumps(viewers)
            follow.forget_gaps(viewers)
            first.kill()
            flock.until_playing(viewers, 50, what="viewers of all living nodes go on")
            gap_ms = follow.longest_gap_s(viewers) * 1000
            print(f"gap_ms={gap_ms:.0f} viewers={len(viewers)}", flush=True)
            self.assertLess(gap_ms, 3000)
            self.assertFalse(publisher.closed, publisher.error)
            self.assert_exact(publisher, viewers, allow_loss=True)
            self.assertIsNot(self.owner_of(flock, "live/killed", first), first)
            self.restart(first)

    def test_frozen_origin_is_replaced_and_fenced(self):
        with follow.Swarm() as flock:
            publisher, viewers, first = self.begin(flock, "live/frozen", at_owner=False)
            swarm.allow_jumps(viewers)
            first.signal(signal.SIGSTOP)
            try:
                flock.until_playing(viewers, 75, what="viewers go on without the frozen origin")
                self.owner_of(flock, "live/frozen", first)
            finally:
                first.signal(signal.SIGCONT)
            flock.until(lambda: not [s for s in first.sessions() if s["kind"] == "publish"], 15,
                        "what it had is closed when it wakes up")
            flock.until_playing(viewers, what="and nobody is disturbed")
            self.assertFalse(publisher.closed, publisher.error)
            self.assert_exact(publisher, viewers, allow_loss=True)
            self.cluster.wait_settled()

    def test_origin_that_leaves_is_left_before_and_nothing_is_lost(self):
        with follow.Swarm() as flock:
            publisher, viewers, first = self.begin(flock, "live/leaving", at_owner=False)
            follow.forget_gaps(viewers)
            first.expect_death = True
            first.signal(signal.SIGTERM)
            flock.until(lambda: not first.is_alive(), 20, "it leaves")
            self.assertEqual(first.popen.returncode, 0)
            flock.until_playing(viewers, 50)
            print(f"gap_ms={follow.longest_gap_s(viewers) * 1000:.0f}", flush=True)
            self.assert_exact(publisher, viewers, allow_loss=False)
            self.restart(first)

    def test_every_kind_of_stream_moves_whole_when_its_origin_leaves(self):
        """Pictures in another order than their times, sound alone, pictures alone, late clocks."""
        kinds = {name: ("live/" + name, swarm.Clip(media.clip(name)))
                 for name in ("h264_aac", "audio_only", "video_only", "h264_mp3")}
        edge1, edge2 = self.cluster.edges
        with follow.Swarm() as flock:
            publishers = {name: flock.publish(edge1.rtmp, stream, clip, start_ts=0x7ffff000)
                          for name, (stream, clip) in kinds.items()}
            flock.until(lambda: all(p.is_running for p in publishers.values()), 15, "accepted")
            leaving = self.owner_of(flock, "live/audio_only")
            viewers = {name: self.play_everywhere(flock, stream, [edge1, edge2])
                       for name, (stream, _) in kinds.items()}
            everybody = sum(viewers.values(), [])

            def more(n):
                want = {v: v.log.n_frames + n for v in everybody}
                flock.until(lambda: all(v.closed or v.log.n_frames > want[v] for v in everybody), 30, "all play")
            more(40)
            leaving.expect_death = True
            leaving.signal(signal.SIGTERM)
            flock.until(lambda: not leaving.is_alive(), 20, "it leaves")
            more(60)
            for name, publisher in publishers.items():
                with self.subTest(clip=name):
                    self.assert_exact(publisher, viewers[name], allow_loss=False)
            self.restart(leaving)

    def test_encoder_returns_at_the_other_edge(self):
        with follow.Swarm() as flock:
            publisher, viewers, _ = self.begin(flock, "live/returns")
            publisher.close()
            self.publish_until_accepted(flock, self.cluster.edges[1], "live/returns", 1_000_000)
            swarm.allow_jumps(viewers)
            flock.until_playing(viewers, what="viewers stay")
            for viewer in viewers:
                self.assertEqual(viewer.log.problems, [])
                self.assertTrue(viewer.log.first_from(1_000_000)[3], "goes on at a key frame")

    def test_edge_is_killed_and_the_other_nodes_wait_for_the_encoder(self):
        """The origin is alive and awaits the encoder: nobody may leave it as if it were dead."""
        edge, other = self.cluster.edges
        with follow.Swarm() as flock:
            _, _, owner = self.begin(flock, "live/edgeless", [other])
            viewers = self.play_everywhere(flock, "live/edgeless", [other, owner])
            flock.until_playing(viewers)

            def stalled():
                return other.metrics().total("headwater_relay_pulls_total", result="stalled")
            before = stalled()
            edge.expect_death = True
            edge.kill()
            flock.run(3.5)  # more than twice upstream_stall_ms: this is what is tested
            self.assertEqual(stalled(), before)
            self.publish_until_accepted(flock, other, "live/edgeless", 1_000_000)
            swarm.allow_jumps(viewers)
            flock.until_playing(viewers, what="viewers stayed")
            for viewer in viewers:
                self.assertEqual(viewer.log.problems, [])
            self.restart(edge)

    def test_frozen_edge_is_left_by_its_origin(self):
        """Its encoder is soon welcome elsewhere, however long publish_stall_ms is."""
        edge, other = self.cluster.edges
        with follow.Swarm() as flock:
            publisher, viewers, owner = self.begin(flock, "live/frozen-edge", [other])
            edge.signal(signal.SIGSTOP)
            try:
                frozen_at = time.monotonic()
                self.publish_until_accepted(flock, other, "live/frozen-edge", 1_000_000)
                self.assertLess(time.monotonic() - frozen_at, 6)
                said = [line for line in owner.log_lines("stream=live/frozen-edge") if "upstream_stall_ms" in line]
                self.assertEqual(len(said), 1)
            finally:
                edge.signal(signal.SIGCONT)
            swarm.allow_jumps(viewers)
            flock.until_playing(viewers, what="viewers stayed")
            flock.until(lambda: publisher.closed, 15, "the first encoder is told when its edge is back")

    def test_silent_encoder_keeps_its_origin(self):
        with follow.Swarm() as flock:
            publisher, _, owner = self.begin(flock, "live/silent", [])
            publisher.ended = True  # it is still there, and says nothing
            before = owner.log_size()
            flock.run(3.5)  # more than twice upstream_stall_ms: this is what is tested
            self.assertFalse(publisher.closed)
            self.assertEqual(owner.log_lines("stream=live/silent", before), [])

    def test_second_encoder_is_refused_wherever_it_comes(self):
        with follow.Swarm() as flock:
            publisher, _, _ = self.begin(flock, "live/refused")
            for node in self.cluster.nodes:
                other = flock.publish(node.rtmp, "live/refused", small())
                flock.until(lambda: other.codes or other.closed, 15, f"answered by {node.id}")
                self.assertIn("NetStream.Publish.BadName", other.codes, node.id)
                other.close()
            flock.run(0.3)
            self.assertFalse(publisher.closed)

    def test_kicked_encoder_is_told(self):
        with follow.Swarm() as flock:
            publisher, _, owner = self.begin(flock, "live/kicked", self.cluster.edges)
            session = next(s for s in owner.sessions() if s["kind"] == "publish")
            harness.http_request(owner.admin, f"/api/v1/sessions/{session['id']}", "DELETE",
                                 {"Content-Type": "application/json"})
            flock.until(lambda: publisher.codes[-1:] == ["NetStream.Publish.Denied"], 10, "the reason arrives")

    def test_what_ffmpeg_sends_arrives_to_the_last_packet(self):
        clip, stream, folder = media.clip("h264_aac", SECONDS), "live/exact", self.cluster.folder
        edge1, edge2 = self.cluster.edges
        publisher = media.publish(clip, edge1.url(stream), folder, "exact-publisher")
        self.cluster.wait_route(stream)
        players, outs = {}, {}
        for where, url in {"edge1": edge1.url(stream), "edge2": edge2.url(stream, "http"),
                           "origin": self.cluster.origins[0].url(stream)}.items():
            outs[where] = os.path.join(folder, f"exact-{where}.md5")
            players[where] = media.play_md5(url, outs[where], folder, f"exact-{where}")
        try:
            for process in [publisher, *players.values()]:
                harness.wait_until(lambda: not process.is_alive(), SECONDS + 30, f"{process.name} ends")
        finally:
            for process in [publisher, *players.values()]:
                process.kill()
        published = media.file_md5(clip)
        for where, out in outs.items():
            with self.subTest(where=where):
                media.compare_md5(published, media.read_md5(out), 25)


class NoOriginTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 1, "node_set": {"forward_buffer_ms": "1500"}}

    def test_encoder_is_closed_with_the_reason_when_no_origin_is_left(self):
        origin, edge = self.cluster.origins[0], self.cluster.edges[0]
        with follow.Swarm() as flock:
            publisher = flock.publish(edge.rtmp, "live/alone", small())
            flock.until(lambda: publisher.is_running, 15)
            origin.kill()
            flock.until(lambda: "NetStream.Publish.Failed" in publisher.codes, 15, "the encoder is told")
            text = publisher.session.statuses[-1][1]
            self.assertIn("forward_buffer_ms", text)
            self.assertIn(origin.id, text)
            late = flock.publish(edge.rtmp, "live/late", small())
            flock.until(lambda: late.codes or late.closed, 15, "answered")
            self.assertIn(late.codes[0], ("NetStream.Publish.Failed", "NetStream.Publish.BadName"))


class FallbackTest(harness.ClusterTest):
    """No scheduler: the configured origins take what is published at an edge."""

    cluster_args = {"origins": 1, "edges": 0}

    def test_edge_forwards_to_a_fallback_origin_without_scheduler(self):
        origin = self.cluster.origins[0]
        edge = self.cluster.make_node("edge", 0, fallback_origins="http://%s:%d" % origin.http)
        self.cluster.edges.append(edge)
        edge.learn()
        self.cluster.wait_settled()
        self.cluster.scheduler.kill()
        with follow.Swarm() as flock:
            flock.until(lambda: edge.log_lines("no scheduler answers") and
                        origin.log_lines("no scheduler answers"), 15, "both notice")
            publisher = flock.publish(edge.rtmp, "live/fallback", small())
            flock.until(lambda: publisher.is_running, 15, "accepted")
            viewers = flock.play_both(origin, "live/fallback") + flock.play_both(edge, "live/fallback")
            flock.until_playing(viewers)
            self.assert_clean(*viewers)


class BadOrigin:
    """An origin that misbehaves: answers a POST with these bytes, then with a beat twice a second, and
    reads nothing more."""

    def __init__(self, answer=b"", beats=False):
        self.answer, self.beats = answer, beats
        self.n_posts, self.peers, self.closing = 0, [], threading.Event()
        self.listener = harness.Listener(self._answer)
        self.listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.url = f"http://127.0.0.1:{self.listener.port}"

    def _answer(self, peer):
        self.peers.append(peer)
        try:
            head = harness.read_head(peer, 1)  # no byte of the media
            if not head:
                return
            self.n_posts += head.startswith(b"POST ")
            peer.sendall(self.answer)
            while self.beats and not self.closing.wait(0.5):
                peer.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
        except OSError:
            pass  # the edge has left

    def close(self):
        self.closing.set()
        self.listener.close()
        for peer in self.peers:
            peer.close()


def problem(status, detail):
    body = b'{"detail":"%s"}' % detail.encode()
    return b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


class BadOriginTest(harness.ClusterTest):
    """An edge whose first origin misbehaves, and whose second one is good."""

    cluster_args = {"origins": 1, "edges": 0}
    CASES = {
        "never answers": (),
        "is full": (problem(503, "limits.streams reached"),),
        "is no node": (problem(404, "what?"),),
        "breaks off": (b"HTTP/1.1 100 Continue\r\nX-Headwater-Ep",),
        "speaks nonsense": (b"SSH-2.0-x\r\n",),
        "holds back": (b"HTTP/1.1 102 Processing\r\n\r\n",),
        "grants and is silent": (b"HTTP/1.1 100 Continue\r\nX-Headwater-Epoch: 9\r\n\r\n",),
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.scheduler.kill()
        harness.wait_until(lambda: cls.cluster.origins[0].log_lines("no scheduler answers"), 15, "it notices")
        cls.n_edges = 0

    def edge(self, bad, **more):
        """Asks the bad one first, then the good one."""
        type(self).n_edges += 1
        origins = [bad.url, "http://%s:%d" % self.cluster.origins[0].http]
        node = self.cluster.make_node("edge", self.n_edges, fallback_origins=origins, upstream_stall_ms="1500",
                                      forward_buffer_ms="5000", loops="1", **more)
        self.cluster.edges.append(node)
        return node.learn()

    def test_origin_misbehaves_and_the_next_one_gets_the_stream(self):
        tried = {}
        with follow.Swarm() as flock:
            for what, args in self.CASES.items():
                bad = BadOrigin(*args)
                self.addCleanup(bad.close)
                stream = "live/" + what.replace(" ", "_")
                tried[what] = (bad, flock.publish(self.edge(bad).rtmp, stream, small()),
                               flock.play_flv(self.cluster.origins[0].http, stream))
            flock.until_playing([viewer for _, _, viewer in tried.values()], what="the good origin has them")
            for what, (bad, publisher, viewer) in tried.items():
                with self.subTest(what=what):
                    self.assertTrue(publisher.is_running)
                    self.assertGreater(bad.n_posts, 0)
                    self.assertTrue(viewer.log.first_is_key)
                    self.assert_clean(viewer)

    def test_final_refusals_reach_the_encoder_in_the_origins_words(self):
        for status, code in ((409, "NetStream.Publish.BadName"), (403, "NetStream.Publish.Denied")):
            with self.subTest(status=status), follow.Swarm() as flock:
                bad = BadOrigin(problem(status, "these words"))
                self.addCleanup(bad.close)
                publisher = flock.publish(self.edge(bad).rtmp, f"live/final{status}", small())
                flock.until(lambda: publisher.codes, 15, "answered")
                self.assertEqual(publisher.session.statuses[-1][:2], (code, "these words"))

    def test_slow_origin_delays_nobody_at_the_edge_and_is_left(self):
        """It grants, beats, and takes no byte: the kernel's buffers fill, and then the viewer that
        it is has stalled like any other."""
        bad = BadOrigin(b"HTTP/1.1 100 Continue\r\nX-Headwater-Epoch: 9\r\n\r\n", beats=True)
        self.addCleanup(bad.close)
        edge = self.edge(bad, stall_timeout_ms="2000", max_lag_ms="1000")
        with follow.Swarm() as flock:
            flock.publish(edge.rtmp, "live/slow", swarm.Clip(media.clip("fat")))
            viewers = flock.play_both(edge, "live/slow")
            flock.until_playing(viewers, 5)
            follow.forget_gaps(viewers)
            distant = flock.play_flv(self.cluster.origins[0].http, "live/slow")
            distant.log.allow_jumps = True
            flock.until(lambda: distant.log.n_video > 20 or distant.closed, 30, "the good origin got the stream")
            self.assert_clean(*viewers)
            self.assertLess(follow.longest_gap_s(viewers), 0.5)
            self.assertEqual(bad.n_posts, 1)


if __name__ == "__main__":
    harness.main()
