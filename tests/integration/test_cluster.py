"""The cluster when its parts come, go and return: schedulers, Redis, origins, edges."""

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
