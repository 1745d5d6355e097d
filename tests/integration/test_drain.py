"""A node that leaves: no new work, everybody is told, and it ends as soon as nobody is left."""

import signal
import time

import harness
import hls
import media
import swarm

ASKED = "NetConnection.Connect.ReconnectRequest"
JSON = {"Content-Type": "application/json"}


def small():
    return swarm.Clip(media.clip("small"))


def until_playing(flock, viewers, what="all play", n=20):
    seen = {v: v.log.n_video for v in viewers}
    flock.until(lambda: all(v.closed or v.log.n_video > seen[v] + n for v in viewers), 20, what)
    for viewer in viewers:
        if viewer.closed or viewer.error:
            raise AssertionError(f"{what}: {viewer.stream} at {viewer.address} closed: {viewer.error}")


def publish_with_reconnect(flock, address, stream):
    """An encoder that can be asked to go on over a new connection (Enhanced RTMP v2, capsEx bit 0)."""
    publisher = flock.publish(address, stream, small())
    publisher.session.connect_more = {"capsEx": 1.0}
    return publisher


def publish_after(flock, first, address):
    """The encoder of first comes again: time goes on, and frames are numbered above all that first sends."""
    second = flock.publish(address, first.stream, small(), start_ts=first.last_ts)
    second.counters = {kind: n + 100_000 for kind, n in first.counters.items()}
    return second


def across(*viewers):
    """Viewers that see one encoder after the other: frames are missing in between, none comes twice or late."""
    swarm.allow_jumps(viewers)
    return list(viewers)


def wait_left(flock, node, timeout_s=10):
    """Until the process has ended by itself, and well."""
    flock.until(lambda: not node.is_alive(), timeout_s, f"{node.id} leaves")
    if node.popen.returncode != 0:
        raise AssertionError(f"{node.id}: exit {node.popen.returncode}")
    node.expect_death = True


def request(flock, address, path):
    """An answer while the swarm goes on: the server asks others before it answers."""
    viewer = swarm.RawConn(flock, address, (
        f"GET {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nConnection: close\r\n\r\n").encode())
    flock.until(lambda: viewer.closed, 10, path)
    head, _, body = bytes(viewer.received).partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body


class SingleTest(harness.ClusterTest):
    """Without a cluster."""

    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0}

    def start_node(self, index, **more):
        node = self.cluster.make_node("origin", index, **more)
        self.cluster.origins.append(node)
        return node.learn()

    def test_sigterm_refuses_new_work_and_leaves_when_nobody_is_left(self):
        node = self.start_node(1, drain_timeout_s="60")
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/a", small())
            viewers = [flock.play_flv(node.http, "live/a"), flock.play_rtmp(node.rtmp, "live/a")]
            until_playing(flock, viewers)
            node.signal(signal.SIGTERM)
            node.wait_log("msg=draining", 5)
            late = flock.play_flv(node.http, "live/a")
            flock.until(lambda: late.status, 5, "answered")
            self.assertEqual(late.status, 503)
            self.assertIn(late.headers["retry-after"], ("1", "2", "3", "4"))
            player, encoder = flock.play_rtmp(node.rtmp, "live/a"), flock.publish(node.rtmp, "live/b", small())
            flock.until(lambda: player.codes and encoder.codes, 5, "refused with a reason")
            self.assertEqual(player.codes[-1], "NetStream.Play.Failed")
            self.assertEqual(encoder.codes[-1], "NetStream.Publish.Denied")
            self.assertIn("shutting down", encoder.session.statuses[-1][1])
            for address in (node.http, node.admin):
                status, _, body = harness.http_request(address, "/readyz")
                self.assertEqual((status, b"draining" in body), (503, True))
                self.assertEqual(harness.http_request(address, "/healthz")[0], 200)
            until_playing(flock, viewers, "those who are in stay")
            metrics = node.metrics()
            self.assertEqual(metrics.total("headwater_draining"), 1)
            self.assertEqual(metrics.total("headwater_drain_sessions", kind="play"), 2)
            self.assertEqual(metrics.total("headwater_drain_sessions", kind="publish"), 1)
            self.assertGreaterEqual(metrics.total("headwater_play_refused_total", reason="draining"), 2)
            self.assert_clean(*viewers)
            for conn in (*viewers, publisher):
                conn.close()
            wait_left(flock, node, 5)

    def test_hls_viewers_that_ask_no_more_hold_no_drain(self):
        node = self.start_node(5, drain_timeout_s="60")
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/a", small())
            def has_playlist():
                return request(flock, node.http, "/live/a/fmp4.m3u8")[0] == 200
            harness.wait_until(has_playlist, 20, "a playlist")
            node.signal(signal.SIGTERM)
            node.wait_log("msg=draining", 5)
            self.assertEqual(request(flock, node.http, "/live/a/fmp4.m3u8")[0], 200, "who is in stays")
            publisher.close()
            wait_left(flock, node, 15)

    def test_deadline_ends_those_who_are_left_with_whole_messages(self):
        node = self.start_node(2, drain_timeout_s="1")
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/a", small())
            flv, rtmp = flock.play_flv(node.http, "live/a"), flock.play_rtmp(node.rtmp, "live/a")
            until_playing(flock, [flv, rtmp])
            begin = time.monotonic()
            node.signal(signal.SIGTERM)
            wait_left(flock, node, 8)
            self.assertGreater(time.monotonic() - begin, 0.9, "not before the deadline")
            flock.until(lambda: flv.closed and rtmp.closed and publisher.closed, 5, "all ended")
            self.assertEqual([flv.error, rtmp.error], [None, None])
            self.assertEqual(len(flv.flv.buf), 0, "no tag was cut")
            self.assertIn("NetStream.Play.UnpublishNotify", rtmp.codes)
            self.assertIn("NetStream.Unpublish.Success", publisher.codes)

    def test_publishers_that_can_are_asked_to_reconnect_once(self):
        node = self.start_node(3, drain_timeout_s="60")
        with swarm.Swarm() as flock:
            able, other = publish_with_reconnect(flock, node.rtmp, "live/able"), flock.publish(
                node.rtmp, "live/other", small())
            flock.until(lambda: able.is_running and other.is_running, 10)
            node.signal(signal.SIGTERM)
            flock.until(lambda: ASKED in able.codes, 5, "asked")
            flock.run(0.5)
            self.assertEqual(able.codes.count(ASKED), 1)
            self.assertNotIn("tcUrl", able.session.infos[-1], "to where it came from")
            self.assertEqual(able.session.infos[-1]["level"], "status")
            self.assertNotIn(ASKED, other.codes)
            self.assertEqual(node.metrics().total("headwater_publish_reconnect_requests_total"), 1)
            sent = able.n_sent, other.n_sent
            flock.run(0.3)
            self.assertFalse(able.closed or other.closed, "both publish on")
            self.assertGreater((able.n_sent, other.n_sent), sent)
            able.close()
            other.close()
            wait_left(flock, node, 5)

    def test_the_api_drains_this_node_alone_and_says_how_it_goes(self):
        node = self.start_node(4, drain_timeout_s="60")
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/a", small())
            flock.until(lambda: publisher.is_running, 10)
            self.assertEqual(harness.http_request(node.admin, "/api/v1/nodes/other/drain", "POST", JSON, "{}")[0], 404)
            self.assertEqual(harness.http_request(node.admin, f"/api/v1/nodes/{node.id}/drain", "POST")[0], 415)
            self.assertEqual(harness.http_request(node.admin, "/readyz")[0], 200)
            self.assertEqual(
                harness.http_request(node.admin, f"/api/v1/nodes/{node.id}/drain", "POST", JSON, "{}")[0], 200)
            def said():
                flock.run(0.1)
                return node.log_lines('msg="still here" publishers=1 viewers=0 relays=0')
            harness.wait_until(said, 10, "the log says who is left")
            publisher.close()
            wait_left(flock, node, 5)


class ClusterDrainTest(harness.ClusterTest):
    cluster_args = {"origins": 2, "edges": 2, "node_set": {"drain_timeout_s": "60"}}

    def setUp(self):
        self.started = []

    def tearDown(self):
        for node in self.started:  # the next test finds the cluster complete again
            if not node.is_alive():
                self.cluster.restart_node(node)
        self.cluster.wait_settled()

    def drain(self, node):
        self.started.append(node)
        node.signal(signal.SIGTERM)
        node.wait_log("msg=draining", 5)

    def test_viewers_of_an_edge_that_drains_are_sent_to_the_other(self):
        leaving, staying = self.cluster.edges
        with swarm.Swarm() as flock:
            flock.publish(self.cluster.origins[0].rtmp, "live/a", small())
            viewers = [flock.play_flv(leaving.http, "live/a")]
            until_playing(flock, viewers)
            self.drain(leaving)
            want = staying.url("live/a", "http")
            def is_sent():
                status, headers, _ = request(flock, leaving.http, "/live/a.flv?x=1")
                return (status, headers.get("location")) == (302, want + "?x=1")
            harness.wait_until(is_sent, 10, "302 to the other edge")
            until_playing(flock, viewers, "those who are in stay")
            entry = [request(flock, self.cluster.scheduler.http, "/live/a.flv") for _ in range(5)]
            self.assertEqual({headers["location"] for _, headers, _ in entry}, {want})
            self.assert_clean(*viewers)
            viewers[0].close()
            wait_left(flock, leaving)

    def test_hls_viewers_of_an_edge_that_drains_are_sent_to_the_other(self):
        leaving, staying = self.cluster.edges
        path = "/live/h/fmp4.m3u8?session=h-0123456789ab"
        with swarm.Swarm() as flock:
            flock.publish(self.cluster.origins[0].rtmp, "live/h", small())
            def has_playlist():
                return request(flock, leaving.http, path)[0] == 200
            harness.wait_until(has_playlist, 20, "a playlist")
            self.drain(leaving)
            want = staying.url("live/h", "http").removesuffix(".flv") + path.removeprefix("/live/h")
            def is_sent():
                status, headers, _ = request(flock, leaving.http, path)
                return (status, headers.get("location")) == (302, want)
            harness.wait_until(is_sent, 10, "302 to the other edge")
            status, _, body = request(flock, leaving.http, path.replace("fmp4", "ts"))
            self.assertEqual((status, body), (302, b""))
            status, _, body = request(flock, staying.http, path)
            self.assertEqual(status, 200)
            self.assertTrue(hls.Playlist(body.decode()).names())
            wait_left(flock, leaving, 15)

    def test_an_encoder_goes_to_another_origin_and_viewers_notice_nothing(self):
        leaving, staying = self.cluster.origins
        with swarm.Swarm() as flock:
            first = publish_with_reconnect(flock, leaving.rtmp, "live/moves")
            viewers = across(*(flock.play_flv(edge.http, "live/moves") for edge in self.cluster.edges))
            until_playing(flock, viewers)
            self.drain(leaving)
            flock.until(lambda: ASKED in first.codes, 10, "asked to reconnect")
            self.assertEqual(first.session.infos[-1]["tcUrl"], "rtmp://%s:%d/live" % staying.rtmp)
            second = publish_after(flock, first, staying.rtmp)
            flock.until(lambda: second.is_running, 10, "taken although the first one publishes still")
            first.ended = True
            until_playing(flock, viewers, "the stream goes on from the other origin")
            self.assert_clean(*viewers)
            wait_left(flock, leaving)
            self.assert_clean(*viewers)

    def test_the_scheduler_drains_a_node(self):
        leaving = self.cluster.edges[0]
        self.started.append(leaving)
        with swarm.Swarm() as flock:
            flock.publish(self.cluster.origins[0].rtmp, "live/ordered", small())
            viewer = flock.play_flv(leaving.http, "live/ordered")
            until_playing(flock, [viewer])
            status = harness.http_request(self.cluster.scheduler.http, f"/api/v1/nodes/{leaving.id}/drain", "POST",
                                          {**JSON, "Authorization": f"Bearer {harness.TOKEN}"}, "{}")[0]
            self.assertEqual(status, 200)
            leaving.wait_log("msg=draining", 5)
            until_playing(flock, [viewer], "who is in stays")
            viewer.close()
            wait_left(flock, leaving)


if __name__ == "__main__":
    harness.main()
