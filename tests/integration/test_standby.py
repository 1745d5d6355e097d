"""Two encoders for one stream: refused, taken over, or held ready for when the first one fails."""

import flv
import follow
import harness
import media
import swarm

SECOND = 1_000_000  # counters of the second encoder's frames begin here
STANDBY = {"publish.duplicate": "refuse", "publish.duplicate_apps": "spare=standby,take=takeover"}


def small():
    return swarm.Clip(media.clip("small"))


class PolicyTest(harness.ClusterTest):
    cluster_args = {"origins": 2, "edges": 1, "node_set": STANDBY}

    def begin(self, flock, stream, first, second):
        """Viewers at the edge and the first node; both encoders' publishes are answered."""
        one = flock.publish(first.rtmp, stream, small())
        flock.until(lambda: one.is_running, 15, "the first is accepted")
        self.cluster.wait_route(stream)
        viewers = flock.play_both(self.cluster.edges[0], stream)
        flock.until_playing(viewers)
        two = flock.publish(second.rtmp, stream, small(), first_counter=SECOND)
        flock.until(lambda: two.codes or two.closed, 15, "the second is answered")
        return one, two, viewers

    def kinds(self, node, stream):
        return sorted(s["kind"] for s in node.sessions() if s["stream"] == stream and s["protocol"] == "rtmp"
                      and s["kind"] != "play")

    def assert_goes_over(self, flock, viewers, what):
        """The second encoder's pictures come, from a key frame on, and time goes on."""
        swarm.allow_jumps(viewers)
        flock.until(lambda: all(v.closed or v.log.first_from(SECOND + 20) for v in viewers), 30, what)
        for viewer in viewers:
            self.assertFalse(viewer.closed, f"{what}: closed")
            self.assertEqual(viewer.log.problems, [], what)
            self.assertTrue(viewer.log.first_from(SECOND)[3], f"{what}: at a key frame")

    def both_places(self):
        first, second = self.cluster.origins
        return {"one node": (first, first), "two nodes": (first, second)}

    def test_refuse(self):
        with follow.Swarm() as flock:
            for i, (where, (first, second)) in enumerate(self.both_places().items()):
                with self.subTest(where=where):
                    one, two, viewers = self.begin(flock, f"live/refuse{i}", first, second)
                    self.assertIn("NetStream.Publish.BadName", two.codes)
                    flock.until_playing(viewers)
                    self.assertFalse(one.closed)

    def test_takeover(self):
        with follow.Swarm() as flock:
            for i, (where, (first, second)) in enumerate(self.both_places().items()):
                with self.subTest(where=where):
                    one, two, viewers = self.begin(flock, f"take/over{i}", first, second)
                    self.assertIn("NetStream.Publish.Start", two.codes)
                    self.assert_goes_over(flock, viewers, where)
                    flock.until(lambda: "NetStream.Publish.BadName" in one.codes, 10, "the first is told")

    def test_standby_takes_over_when_the_first_encoder_dies(self):
        with follow.Swarm() as flock:
            for i, (where, (first, second)) in enumerate(self.both_places().items()):
                with self.subTest(where=where):
                    stream = f"spare/dies{i}"
                    one, two, viewers = self.begin(flock, stream, first, second)
                    self.assertIn("NetStream.Publish.Start", two.codes)
                    self.assertIn("standby", self.kinds(second, stream))
                    flock.until_playing(viewers, what="the first one's pictures go on")
                    self.assertIsNone(viewers[0].log.first_from(SECOND))
                    follow.forget_gaps(viewers)
                    one.close()
                    self.assert_goes_over(flock, viewers, where)
                    print(f"{where}: gap_ms={follow.longest_gap_s(viewers) * 1000:.0f}", flush=True)
                    flock.until(lambda: self.kinds(second, stream) == ["publish"], 5, "it is the publisher now")

    def test_standby_takes_over_when_the_first_encoder_stops(self):
        first, second = self.cluster.origins
        with follow.Swarm() as flock:
            one, _, viewers = self.begin(flock, "spare/stops", first, second)
            one.stop()
            self.assert_goes_over(flock, viewers, "after FCUnpublish")

    def test_first_encoder_returns_as_the_standby(self):
        first, second = self.cluster.origins
        with follow.Swarm() as flock:
            one, _, viewers = self.begin(flock, "spare/swaps", first, second)
            one.close()
            self.assert_goes_over(flock, viewers, "the second")
            again = flock.publish(first.rtmp, "spare/swaps", small(), first_counter=2 * SECOND)
            flock.until(lambda: again.is_running, 15, "accepted")
            flock.until(lambda: self.kinds(first, "spare/swaps") == ["standby"], 10, "as standby")

    def test_standby_that_leaves_is_forgotten(self):
        first, second = self.cluster.origins
        with follow.Swarm() as flock:
            one, two, viewers = self.begin(flock, "spare/left", first, second)
            two.close()
            flock.until(lambda: not self.kinds(second, "spare/left"), 5, "gone")
            flock.until_playing(viewers)
            self.assertFalse(one.closed)
            self.assert_clean(*viewers)

    def test_standby_takes_over_when_the_first_origin_dies(self):
        first, second = self.cluster.origins
        with follow.Swarm() as flock:
            _, _, viewers = self.begin(flock, "spare/origin", first, second)
            follow.forget_gaps(viewers)
            first.kill()
            self.assert_goes_over(flock, viewers, "after the origin's death")
            print(f"gap_ms={follow.longest_gap_s(viewers) * 1000:.0f}", flush=True)
        self.cluster.restart_node(first)
        self.cluster.wait_settled()

    def test_second_encoder_at_an_edge_stands_by_at_an_origin(self):
        first, edge = self.cluster.origins[0], self.cluster.edges[0]
        with follow.Swarm() as flock:
            one, two, viewers = self.begin(flock, "spare/edge", first, edge)
            self.assertIn("NetStream.Publish.Start", two.codes)
            self.assertIn("standby", self.kinds(edge, "spare/edge"))
            flock.until_playing(viewers)
            one.close()
            self.assert_goes_over(flock, viewers, "the edge's encoder")


    def test_second_standby_takes_over_when_the_first_one_has_died(self):
        for i, (where, (first, second)) in enumerate(self.both_places().items()):
            with self.subTest(where=where), follow.Swarm() as flock:
                stream = f"spare/third{i}"
                one, two, viewers = self.begin(flock, stream, first, second)
                three = flock.publish(second.rtmp, stream, small(), first_counter=2 * SECOND)
                flock.until(lambda: three.is_running, 15, "held ready, too")
                two.close()
                one.close()  # in the same moment: who is promoted may be gone
                swarm.allow_jumps(viewers)
                flock.until(lambda: all(v.closed or v.log.first_from(2 * SECOND + 20) for v in viewers), 30, where)
                for viewer in viewers:
                    self.assertFalse(viewer.closed, f"{where}: closed")
                    self.assertEqual(viewer.log.problems, [], where)

    def test_standby_with_other_tracks_and_times_takes_over(self):
        """Sound alone, or another codec, and a clock that is days ahead."""
        first, second = self.cluster.origins
        for name in ("audio_only", "video_only", "h264_mp3"):
            with self.subTest(clip=name), follow.Swarm() as flock:
                stream = f"spare/{name}"
                one = flock.publish(first.rtmp, stream, small())
                flock.until(lambda: one.is_running, 15, "the first is accepted")
                self.cluster.wait_route(stream)
                viewers = flock.play_both(self.cluster.edges[0], stream)
                flock.until_playing(viewers)
                two = flock.publish(second.rtmp, stream, swarm.Clip(media.clip(name)), first_counter=SECOND,
                                    start_ts=1_000_000_000)
                flock.until(lambda: two.is_running, 15, "held ready")
                kind = flv.AUDIO if name == "audio_only" else flv.VIDEO
                headers = {v: v.log.n_headers for v in viewers}
                one.close()
                swarm.allow_jumps(viewers)
                flock.until(lambda: all(v.closed or v.log.first_from(SECOND + 20, kind) for v in viewers), 30, name)
                for viewer in viewers:
                    self.assertFalse(viewer.closed, viewer.error)
                    self.assertEqual(viewer.log.problems, [])
                    self.assertGreater(viewer.log.n_headers, headers[viewer], "its own headers came")
                    last_of_one = max(ts for _, counter, ts, _ in viewer.log.frames if counter < SECOND)
                    first_of_two = min(ts for _, counter, ts, _ in viewer.log.frames if counter >= SECOND)
                    self.assertLess(first_of_two - last_of_one, 1000, "time goes on after a small gap")


class SilentStandbyTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 0, "node_set": {**STANDBY, "publish_stall_ms": "1000"}}

    def test_standby_that_sends_nothing_is_closed(self):
        origin = self.cluster.origins[0]
        with follow.Swarm() as flock:
            one = flock.publish(origin.rtmp, "spare/silent", small())
            flock.until(lambda: one.is_running, 15)
            two = flock.publish(origin.rtmp, "spare/silent", small())
            flock.until(lambda: two.is_running, 15)
            two.ended = True  # connected, and says nothing more
            flock.until(lambda: "NetStream.Publish.Idle" in two.codes, 10, "told why")
            self.assertFalse(one.closed)


if __name__ == "__main__":
    harness.main()
