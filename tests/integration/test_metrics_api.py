"""What a node and the scheduler say about themselves."""

import re

import harness
import media
import swarm


class ApiTest(harness.ClusterTest):
    def setUp(self):
        self.flock = swarm.Swarm()
        self.addCleanup(self.flock.__exit__)

    def play(self, stream):
        """A publisher at the origin and one viewer of each kind at the first edge."""
        publisher = self.flock.publish(self.cluster.origins[0].rtmp, stream, swarm.Clip(media.clip("small")))
        edge = self.cluster.edges[0]
        viewers = [self.flock.play_rtmp(edge.rtmp, stream), self.flock.play_flv(edge.http, stream)]
        self.flock.until(lambda: all(v.log.n_video > 20 for v in viewers), 15, "both play")
        return publisher, viewers

    def until(self, condition, what):
        """API answers change with gathered state: poll, with the media going on."""
        value = None
        def look():
            nonlocal value
            value = condition()
            return value
        self.flock.until(look, 10, what)
        return value

    def test_health_on_every_port(self):
        for node in self.cluster.nodes:
            for address in (node.http, node.admin):
                for path in ("/healthz", "/readyz"):
                    self.assertEqual(harness.http_request(address, path)[0], 200, path)
        for path in ("/healthz", "/readyz", "/metrics"):
            self.assertEqual(harness.http_request(self.cluster.scheduler.http, path)[0], 200, path)

    def test_metrics_are_prometheus_text(self):
        self.play("live/metrics")
        for address in [n.admin for n in self.cluster.nodes] + [self.cluster.scheduler.http]:
            status, headers, body = harness.http_request(address, "/metrics")
            self.assertEqual(status, 200)
            self.assertIn("text/plain", headers["content-type"])
            typed = set()
            for line in body.decode().splitlines():
                if line.startswith("# TYPE "):
                    name = line.split()[2]
                    self.assertNotIn(name, typed, "TYPE once a family")
                    typed.add(name)
                elif line and not line.startswith("#"):
                    match = re.match(r'^(headwater|process)_[a-z0-9_]+(\{[^}]*\})? -?[0-9.eE+-]+(Inf)?$', line)
                    self.assertTrue(match, line)
                    family = re.sub(r"_(bucket|sum|count)$", "", line.split("{")[0].split()[0])
                    self.assertTrue({family, line.split("{")[0].split()[0]} & typed, f"no TYPE: {line}")

    def test_metrics_count_what_happens(self):
        origin, edge = self.cluster.origins[0], self.cluster.edges[0]
        self.play("live/counted")
        def look():
            at_origin, at_edge = origin.metrics(), edge.metrics()
            return (at_origin.total("headwater_streams", kind="published") >= 1
                    and at_edge.total("headwater_streams", kind="pulled") >= 1
                    and at_edge.total("headwater_viewers", kind="people") >= 2
                    and at_edge.total("headwater_sessions", protocol="rtmp", kind="play") >= 1
                    and at_edge.total("headwater_sessions", protocol="flv", kind="play") >= 1
                    and at_origin.total("headwater_sessions", protocol="rtmp", kind="publish") >= 1)
        self.until(look, "gauges show one stream, its publisher and two viewers")
        first = origin.metrics()
        self.flock.run(1)
        second = origin.metrics()
        for name in ("headwater_frames_total", "headwater_bytes_in_total", "headwater_bytes_out_total"):
            self.assertGreater(second.total(name), first.total(name), name)

    def test_streams_and_sessions_of_a_node(self):
        origin, edge = self.cluster.origins[0], self.cluster.edges[0]
        _, viewers = self.play("live/listed")
        def stream_of(node):
            return next((s for s in node.streams() if s["name"] == "live/listed"), None)
        at_origin = self.until(lambda: stream_of(origin), "the origin lists the stream")
        at_edge = self.until(lambda: stream_of(edge), "the edge lists the stream")
        one = harness.get_json(edge.admin, "/api/v1/streams/live/listed")
        self.assertEqual(one["name"], "live/listed")
        self.assertGreaterEqual(at_edge["viewers"], 2)
        self.assertEqual(at_origin["epoch"], at_edge["epoch"])
        sessions = self.until(lambda: [s for s in edge.sessions() if s["stream"] == "live/listed"],
                              "the edge lists the sessions")
        peers = {s["peer"] for s in sessions}
        for viewer in viewers:
            self.assertIn(f"127.0.0.1:{viewer.local_port}", peers)
        self.assertEqual(harness.http_request(edge.admin, "/api/v1/streams/live/unknown")[0], 404)

    def test_scheduler_knows_nodes_and_streams(self):
        self.play("live/known")
        scheduler = self.cluster.scheduler.http
        nodes = {n["id"]: n for n in harness.items(scheduler, "/api/v1/nodes")}
        self.assertEqual(set(nodes), {n.id for n in self.cluster.nodes})
        self.assertEqual(nodes["origin-1"]["role"], "origin")
        self.assertEqual(nodes["edge-1"]["role"], "edge")
        self.until(lambda: any(s["name"] == "live/known" for s in harness.items(scheduler, "/api/v1/streams")),
                   "the scheduler lists the stream")

    def test_lists_are_empty_again_when_all_left(self):
        publisher, viewers = self.play("live/leaving")
        publisher.stop()
        for conn in [publisher, *viewers]:
            conn.close()
        # publisher_grace_ms and pull_idle_ms are 10 s by default.
        for node in self.cluster.nodes:
            harness.wait_until(lambda: not [s for s in node.streams() if s["name"] == "live/leaving"], 30,
                               f"{node.id} forgets the stream")
            harness.wait_until(lambda: not [s for s in node.sessions() if s.get("stream") == "live/leaving"],
                               5, f"{node.id} has no session of it")

    def test_wrong_paths_and_methods(self):
        admin = self.cluster.edges[0].admin
        self.assertEqual(harness.http_request(admin, "/api/v1/nothing")[0], 404)
        self.assertEqual(harness.http_request(admin, "/none")[0], 404)
        status, headers, _ = harness.http_request(admin, "/metrics", "POST", body=b"x")
        self.assertEqual(status, 405)
        self.assertIn("GET", headers["allow"])

    def test_foreign_host_and_origin_are_refused(self):
        for address in (self.cluster.edges[0].admin, self.cluster.scheduler.http):
            for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
                status, _, _ = harness.http_request(address, "/api/v1/streams", headers=headers)
                self.assertIn(status, (401, 403), headers)


if __name__ == "__main__":
    harness.main()
