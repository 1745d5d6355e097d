"""The cluster when its parts come, go and return: schedulers, Redis, origins, edges."""

import signal

import harness
import media
import swarm

AWAY = 'msg="no scheduler answers'


def small():
    return swarm.Clip(media.clip("small"))


def play_both(flock, node, stream):
    return [flock.play_rtmp(node.rtmp, stream), flock.play_flv(node.http, stream)]


def until_playing(flock, viewers, n=20, timeout_s=20, what="all play"):
    seen = {v: v.log.n_video for v in viewers}
    flock.until(lambda: all(v.closed or v.log.n_video > seen[v] + n for v in viewers), timeout_s, what)
    for viewer in viewers:
        if viewer.closed or viewer.error:
            raise AssertionError(f"{what}: {viewer.stream} at {viewer.address} closed: {viewer.error}")


class SchedulerAwayTest(harness.ClusterTest):
    """Media does not wait for the control plane."""

    cluster_args = {"origins": 1, "edges": 2}

    def test_scheduler_dies_and_returns(self):
        origin, (edge1, edge2) = self.cluster.origins[0], self.cluster.edges
        with swarm.Swarm() as flock:
            flock.publish(origin.rtmp, "live/old", small())
            running = play_both(flock, edge1, "live/old")
            until_playing(flock, running)
            marks = {node: node.log_size() for node in self.cluster.nodes}
            port = self.cluster.scheduler.http[1]
            self.cluster.scheduler.kill()
            flock.run(3)
            until_playing(flock, running, what="running streams do not notice")
            until_playing(flock, play_both(flock, edge1, "live/old"), what="new viewers where the stream is")
            local = flock.publish(origin.rtmp, "live/new", small())
            flock.until(lambda: local.is_running, 10, "a publish is accepted without a scheduler")
            until_playing(flock, play_both(flock, origin, "live/new"), what="and plays at its node")
            for node, mark in marks.items():
                self.assertEqual(len(node.log_lines(AWAY, mark)), 1, f"{node.id} says it once")
            self.cluster.start_scheduler(0, port)
            self.cluster.wait_settled()
            for node, mark in marks.items():
                node.wait_log(" info cluster", 10, mark)
            until_playing(flock, play_both(flock, edge2, "live/new"), what="state is rebuilt")
            until_playing(flock, running, what="the old ones still play")
            self.assert_clean(*running)


class StartWithoutSchedulerTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0}

    def test_node_starts_says_so_once_and_again_on_recovery(self):
        port = harness.free_port()
        self.cluster.n_schedulers = 0
        node = self.cluster.make_node("origin", 1, cluster__schedulers=f"http://127.0.0.1:{port}",
                                      cluster__role="origin", cluster__token_file=self.cluster.token_path)
        self.cluster.origins.append(node)
        node.learn()
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/alone", small())
            flock.until(lambda: publisher.is_running, 10, "publish accepted")
            viewers = play_both(flock, node, "live/alone")
            until_playing(flock, viewers)
            flock.run(3)
            self.assertEqual(len(node.log_lines(AWAY)), 1)
            self.assertEqual(harness.http_request(node.http, "/healthz")[0], 200)
            mark = node.log_size()
            self.cluster.start_scheduler(0, port)
            node.wait_log(" info cluster", 10, mark)
            self.cluster.wait_route("live/alone")
            until_playing(flock, viewers)


class OriginsTest(harness.ClusterTest):
    """Two origins: the stream moves, viewers stay."""

    cluster_args = {"origins": 2, "edges": 2}

    def test_a_live_stream_is_refused_at_another_origin(self):
        first, second = self.cluster.origins
        with swarm.Swarm() as flock:
            owner = flock.publish(first.rtmp, "live/owned", small())
            flock.until(lambda: owner.is_running, 5)
            self.cluster.wait_route("live/owned")
            other = flock.publish(second.rtmp, "live/owned", small())
            flock.until(lambda: other.codes or other.closed, 10, "answered")
            self.assertIn("NetStream.Publish.BadName", other.codes)
            flock.run(0.5)
            self.assertFalse(owner.closed)

    def test_every_edge_plays_streams_of_both_origins(self):
        with swarm.Swarm() as flock:
            viewers = []
            for i, origin in enumerate(self.cluster.origins):
                flock.publish(origin.rtmp, f"live/of{i}", small())
                viewers += [v for edge in self.cluster.nodes for v in play_both(flock, edge, f"live/of{i}")]
            until_playing(flock, viewers)
            self.assert_clean(*viewers)

    def test_origin_dies_and_the_encoder_goes_to_the_other(self):
        first, second = self.cluster.origins
        with swarm.Swarm() as flock:
            flock.publish(first.rtmp, "live/moving", small(), start_ts=900_000)
            viewers = [v for edge in self.cluster.edges for v in play_both(flock, edge, "live/moving")]
            until_playing(flock, viewers)
            first.kill()
            flock.run(0.5)
            again = flock.publish(second.rtmp, "live/moving", small())
            flock.until(lambda: again.is_running, 10, "the other origin takes the stream")
            for viewer in viewers:
                viewer.log.counter_of.clear()
            until_playing(flock, viewers, what="viewers play on without reconnecting")
            self.assert_clean(*viewers)
        self.cluster.restart_node(first)
        self.cluster.wait_settled()

    def test_edge_dies_and_the_entry_point_names_the_other(self):
        dying, living = self.cluster.edges
        with swarm.Swarm() as flock:
            flock.publish(self.cluster.origins[1].rtmp, "live/redirected", small())
            until_playing(flock, play_both(flock, living, "live/redirected"))
            dying.kill()
            try:
                def location():
                    flock.run(0.1)
                    answer = harness.http_request(self.cluster.scheduler.http, "/live/redirected.flv")
                    return answer[0] == 302 and answer[1]["location"]
                want = living.url("live/redirected", "http")
                harness.wait_until(lambda: all(location() == want for _ in range(5)), 15, "302 to the living edge")
            finally:
                self.cluster.restart_node(dying)
            self.cluster.wait_settled()
            until_playing(flock, play_both(flock, self.cluster.edges[0], "live/redirected"))


class AdmissionTest(harness.ClusterTest):
    """A full node sends viewers to another one; those who are in are left alone."""

    cluster_args = {"origins": 1, "edges": 2, "edge_set": {"limits.viewers": "2"}}

    def refused(self, node):
        return node.metrics().total("headwater_play_refused_total", reason="limit")

    def test_viewers_above_the_limit_are_sent_away_or_turned_away(self):
        full, other = self.cluster.edges
        with swarm.Swarm() as flock:
            flock.publish(self.cluster.origins[0].rtmp, "live/full", small())
            viewers = play_both(flock, full, "live/full")
            until_playing(flock, viewers)
            mark = full.log_size()
            def location():
                viewer = flock.play_flv(full.http, "live/full")
                flock.until(lambda: viewer.status, 10, "answered")
                return viewer.status == 302 and viewer.headers["location"]
            harness.wait_until(lambda: location() == other.url("live/full", "http"), 10, "302 to the other edge")
            player = flock.play_rtmp(full.rtmp, "live/full")
            flock.until(lambda: player.codes, 10, "refused")
            self.assertEqual(player.codes[-1], "NetStream.Play.Failed")
            self.assertIn("limits.viewers", player.session.statuses[-1][1])
            self.assertEqual(len(full.log_lines("viewers are turned away", mark)), 1, "a burst is said once")
            self.assertGreaterEqual(self.refused(full), 2)
            self.assertGreaterEqual(full.metrics().total("headwater_play_redirected_total"), 1)
            more = play_both(flock, other, "live/full")
            until_playing(flock, more)
            def turned_away():
                viewer = flock.play_flv(full.http, "live/full")
                flock.until(lambda: viewer.status, 10, "answered")
                return viewer.status == 503 and int(viewer.headers["retry-after"]) > 0
            harness.wait_until(turned_away, 10, "both are full: 503 with Retry-After")
            until_playing(flock, viewers + more, what="those who are in stay")
            self.assert_clean(*viewers, *more)
            viewers[0].close()
            flock.until(lambda: not full.metrics().total("headwater_viewers", kind="people") > 1, 5)
            until_playing(flock, [flock.play_flv(full.http, "live/full")], what="a place is free again")

    def test_relays_are_not_viewers(self):
        origin = self.cluster.make_node("origin", 7, limits__viewers="1")
        self.cluster.origins.append(origin)
        origin.learn()
        self.cluster.wait_settled()
        with swarm.Swarm() as flock:
            flock.publish(origin.rtmp, "live/relayed", small())
            viewers = [flock.play_flv(node.http, "live/relayed") for node in (origin, *self.cluster.edges)]
            until_playing(flock, viewers)
            self.assert_clean(*viewers)


class EgressTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 1, "edge_set": {"cluster.capacity.egress_bps": "20000"}}

    def test_a_node_that_sends_what_it_can_takes_no_more_viewers(self):
        edge = self.cluster.edges[0]
        with swarm.Swarm() as flock:
            flock.publish(self.cluster.origins[0].rtmp, "live/thick", small())
            first = flock.play_flv(edge.http, "live/thick")
            until_playing(flock, [first])
            def turned_away():
                viewer = flock.play_flv(edge.http, "live/thick")
                flock.until(lambda: viewer.status, 10, "answered")
                viewer.close()
                return viewer.status == 503 and b"egress_bps" in viewer.body
            harness.wait_until(turned_away, 10, "measured, and refused")
            until_playing(flock, [first], what="who is in stays")
            self.assert_clean(first)


class RefusedNodeTest(harness.ClusterTest):
    """Schedulers that are there and do not want a node: it must not publish past their rules."""

    cluster_args = {"origins": 1, "edges": 0}

    def test_a_node_with_a_wrong_token_takes_no_publishers_and_says_why(self):
        path = f"{self.cluster.folder}/wrong-token"
        with open(path, "w") as file:
            file.write("not the token\n")
        # One that listens on loopback alone would ask nobody for a token.
        strict = harness.program("headwater-scheduler", {
            "http.listen": "0.0.0.0:0", "token_file": self.cluster.token_path}, self.cluster.folder, "strict")
        self.cluster.processes.append(strict)
        port = harness.parse_address(strict.wait_ready()["http"])[1]
        node = self.cluster.make_node("origin", 1, cluster__token_file=path, play_wait_ms="200",
                                      cluster__schedulers=f"http://127.0.0.1:{port}")
        self.cluster.origins.append(node)
        node.learn()
        def ready():
            status, _, body = harness.http_request(node.http, "/readyz")
            return status, body.decode()
        harness.wait_until(lambda: ready()[0] == 503, 10, "not ready")
        self.assertIn("401", ready()[1])
        self.assertEqual(node.metrics().total("headwater_cluster_refused"), 1)
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/past_the_rules", small())
            flock.until(lambda: publisher.codes or publisher.closed, 10, "answered")
            self.assertEqual(publisher.codes[-1], "NetStream.Publish.Failed")
            self.assertIn("401", publisher.session.statuses[-1][1])
        with open(path, "w") as file:  # the old one second: both are accepted while it is changed
            file.write(f"{harness.TOKEN}\nnot the token\n")
        node.signal(signal.SIGHUP)
        harness.wait_until(lambda: ready()[0] == 200, 10, "ready")
        for token, status in ((harness.TOKEN, 404), ("not the token", 404), ("another", 401)):
            headers = {"Authorization": f"Bearer {token}", "X-Headwater-Hops": "somebody"}
            self.assertEqual(harness.http_request(node.http, "/live/none.flv", headers=headers, timeout_s=30)[0],
                             status, token)

    def test_a_node_whose_id_is_taken_says_so(self):
        taken = self.cluster.origins[0]
        node = self.cluster.make_node("origin", 2, cluster__node_id=taken.id)
        self.cluster.processes.remove(node)
        try:
            node.learn()
            refused = lambda n: harness.http_request(n.http, "/readyz")[0] == 503
            harness.wait_until(lambda: refused(node) or refused(taken), 15, "one of the two is refused")
            loser = node if refused(node) else taken
            body = harness.http_request(loser.http, "/readyz")[2].decode()
            self.assertIn("409", body)
        finally:
            self.assertEqual(node.stop(), 0)
        if loser is taken:  # the newer process had the name: it stays unusable
            self.assertEqual(taken.stop(), 0)
            taken.expect_death = True
            self.cluster.restart_node(taken)
        self.cluster.wait_settled()


class RedisTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 2, "store": "redis", "schedulers": 2}

    def test_two_schedulers_over_one_redis_agree(self):
        with swarm.Swarm() as flock:
            flock.publish(self.cluster.origins[0].rtmp, "live/shared", small())
            viewers = [v for edge in self.cluster.edges for v in play_both(flock, edge, "live/shared")]
            until_playing(flock, viewers)
            for scheduler in self.cluster.schedulers:
                harness.wait_until(lambda: harness.http_request(scheduler.http, "/live/shared.flv")[0] == 302,
                                   10, f"{scheduler.name} redirects")
            self.assert_clean(*viewers)

    def test_a_scheduler_that_was_frozen_knows_nodes_that_report_to_the_other(self):
        frozen = self.cluster.schedulers[0]
        with swarm.Swarm() as flock:
            flock.publish(self.cluster.origins[0].rtmp, "live/frozen", small())
            viewers = play_both(flock, self.cluster.edges[0], "live/frozen")
            until_playing(flock, viewers)
            frozen.signal(signal.SIGSTOP)
            try:
                flock.until(lambda: all(node.log_lines("server failed") for node in self.cluster.nodes), 10,
                            "all nodes go to the other scheduler")
            finally:
                frozen.signal(signal.SIGCONT)
            for _ in range(14):  # longer than a lease
                self.assertEqual(harness.http_request(frozen.http, "/live/frozen.flv")[0], 302)
                flock.run(0.5)
            self.assertEqual(frozen.log_lines("lease lapsed"), [])
            self.assert_clean(*viewers)

    def test_redis_is_wiped_and_everything_is_there_again(self):
        with swarm.Swarm() as flock:
            flock.publish(self.cluster.origins[0].rtmp, "live/wiped", small())
            viewers = play_both(flock, self.cluster.edges[0], "live/wiped")
            until_playing(flock, viewers)
            self.assertEqual(self.cluster.redis.command("FLUSHALL"), b"+OK\r\n")
            flock.run(3)
            until_playing(flock, play_both(flock, self.cluster.edges[1], "live/wiped"), what="routed again")
            self.assert_clean(*viewers)

    def test_redis_dies_and_returns(self):
        with swarm.Swarm() as flock:
            flock.publish(self.cluster.origins[0].rtmp, "live/survives", small())
            viewers = play_both(flock, self.cluster.edges[0], "live/survives")
            until_playing(flock, viewers)
            self.cluster.redis.process.kill()
            flock.run(2)
            until_playing(flock, viewers, what="running streams do not notice")
            for scheduler in self.cluster.schedulers:
                self.assertEqual(harness.http_request(scheduler.http, "/healthz")[0], 200, "alive without Redis")
            self.cluster.redis.start()
            for scheduler in self.cluster.schedulers:
                harness.wait_until(lambda: harness.http_request(scheduler.http, "/readyz")[0] == 200, 20, "ready again")
            new = flock.publish(self.cluster.origins[0].rtmp, "live/after", small())
            flock.until(lambda: new.is_running, 10)
            until_playing(flock, play_both(flock, self.cluster.edges[1], "live/after"))
            self.assert_clean(*viewers)


class ForeignSourceTest(harness.ClusterTest):
    """A stream of another server, pulled by RTMP or HTTP-FLV when somebody plays it."""

    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0}

    def test_pull_source_plays_and_ends_when_idle(self):
        origin = self.cluster.origins[0]
        sources = [f"live/by_rtmp={origin.url('live/src')}", f"live/by_http={origin.url('live/src', 'http')}"]
        node = self.cluster.make_node("edge", 0, pull__sources=sources, pull_idle_ms="500")
        self.cluster.edges.append(node)
        node.learn()
        with swarm.Swarm() as flock:
            flock.publish(origin.rtmp, "live/src", small())
            viewers = [v for name in ("live/by_rtmp", "live/by_http") for v in play_both(flock, node, name)]
            until_playing(flock, viewers)
            self.assert_clean(*viewers)
            for viewer in viewers:
                viewer.close()
            def is_idle():
                flock.run(0.1)
                return origin.metrics().total("headwater_viewers") == 0
            harness.wait_until(is_idle, 10, "the pulls end")


if __name__ == "__main__":
    harness.main()
