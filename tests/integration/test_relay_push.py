"""Streams that are sent on to foreign servers: told in the configuration or by API, to nodes, to nginx, over TLS, and
to targets that die, freeze or cannot take a codec."""

import base64
import hashlib
import signal
import socket
import time

import certs
import harness
import media
import relays
import swarm
from test_cluster import until_playing


def small():
    return swarm.Clip(media.clip("small"))


def md5_text(text):
    return base64.b64encode(hashlib.md5(text.encode()).digest()).decode()


class PushTest(relays.RelayTest):
    def push_to(self, target, stream="live/*", path="{app}/{name}", **more):
        return self.tell("pushes", stream=stream, url=f"{target.url('')}{path}", **more)

    def test_push_sends_what_is_published_until_that_ends(self):
        node, target = self.node, self.make_peer()
        n_ended = node.metrics().total("headwater_relay_targets_total", result="ended")
        told = self.push_to(target, path="copy/{app}-{name}?key=s3cret")
        self.assertEqual(told["state"], "idle")
        self.assertEqual(told["url"], f"rtmp://%s:%d/***" % target.rtmp)
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/a", small())
            viewer = flock.play_flv(target.http, "copy/live-a")
            other = flock.publish(node.rtmp, "else/a", small())
            until_playing(flock, [viewer])
            run, = self.pushes()[0]["streams"]
            self.assertEqual((run["stream"], run["state"]), ("live/a", "running"))
            session, = [s for s in node.sessions() if s["kind"] == "push"]
            self.assertEqual((session["id"], session["protocol"]), (run["session"], "rtmp"))
            self.assertGreater(session["bytes_out"], 10000)
            self.assertEqual([s["name"] for s in target.streams()], ["copy/live-a"])
            self.assert_clean(viewer)
            self.assertIsNotNone(viewer.log.metadata, "onMetaData came through @setDataFrame")
            self.assertNotIn("s3cret", node.log())
            publisher.stop()
            publisher.close()
            flock.until(lambda: not self.pushes()[0]["streams"], 10, "the push ends with the stream")
            flock.until(lambda: viewer.closed or viewer.error, 10, "and so it does at the target")
            other.close()
        self.assertEqual(node.metrics().total("headwater_relay_targets_total", result="ended"), n_ended + 1)

    def test_push_that_is_told_later_begins_at_once_and_ends_when_it_is_removed(self):
        target = self.make_peer()
        with swarm.Swarm() as flock:
            flock.publish(self.node.rtmp, "live/late", small())
            viewer = flock.play_rtmp(target.rtmp, "copy/late")
            flock.until(lambda: self.node.streams(), 10, "it is published")
            told = self.push_to(target, stream="live/late", path="copy/late")
            until_playing(flock, [viewer])
            session = self.pushes()[0]["streams"][0]["session"]
            self.push_to(target, stream="live/late", path="copy/late", id=told["id"])
            until_playing(flock, [viewer])
            self.assertEqual(self.pushes()[0]["streams"][0]["session"], session, "told again, it goes on as it is")
            self.assertEqual(self.call("DELETE", f"pushes/{told['id']}")[0], 204)
            flock.until(lambda: not [s for s in self.node.sessions() if s["kind"] == "push"], 10, "no push is left")
            self.assertEqual(self.call("GET", f"pushes/{told['id']}")[0], 404)

    def test_target_that_was_killed_gets_the_stream_again_and_time_goes_on(self):
        target = self.make_peer()
        self.push_to(target)
        with swarm.Swarm() as flock:
            publisher = flock.publish(self.node.rtmp, "live/a", small())
            viewer = flock.play_flv(target.http, "live/a")
            until_playing(flock, [viewer])
            target.kill()
            flock.until(lambda: self.pushes()[0]["state"] == "waiting", 10, "it waits for the next try")
            run, = self.pushes()[0]["streams"]
            self.assertIn("rtmp://%s:%d/***: " % target.rtmp, run["last_error"])
            last_ts = viewer.log.last_ts
            again = self.cluster.restart_node(target)
            viewer = flock.play_flv(again.http, "live/a")
            until_playing(flock, [viewer], timeout_s=30)
            self.assertGreater(viewer.log.first_ts, last_ts, "the stream's own time")
            self.assertEqual(self.pushes()[0]["state"], "running")
            self.assertGreaterEqual(self.pushes()[0]["streams"][0]["tries"], 2)
            self.assertFalse(publisher.closed)

    def test_targets_of_one_stream_are_independent(self):
        target = self.make_peer()
        closed = harness.free_port()
        self.tell("pushes", stream="live/a", url=f"rtmp://127.0.0.1:{closed}/live/a", retry=2)
        self.push_to(target, stream="live/a")
        with swarm.Swarm() as flock:
            flock.publish(self.node.rtmp, "live/a", small())
            viewer = flock.play_flv(target.http, "live/a")
            until_playing(flock, [viewer])
            flock.until(lambda: sorted(p["state"] for p in self.pushes()) == ["failed", "running"], 20,
                        "one is given up, one runs")
            self.assert_clean(viewer)

    def test_frozen_target_delays_neither_publisher_nor_viewers(self):
        """Nor the API: who writes to a target with the stream's lock held delays all of them."""
        target = self.make_peer()
        self.push_to(target)
        with swarm.Swarm() as flock:
            publisher = flock.publish(self.node.rtmp, "live/fat", swarm.Clip(media.clip("fat")), speed=2.0)
            near = flock.play_flv(self.node.http, "live/fat")
            far = flock.play_flv(target.http, "live/fat")
            until_playing(flock, [near, far])
            memory = self.node.memory_kib()
            near.log.delays_us = []
            target.signal(signal.SIGSTOP)
            slowest_s = [0]

            def is_let_go():
                at = time.monotonic()
                push, = self.pushes()
                slowest_s[0] = max(slowest_s[0], time.monotonic() - at)
                return "stall_timeout_ms" in (push["streams"][0]["last_error"] or "")
            try:
                flock.until(is_let_go, 30, "the frozen target is let go")
            finally:
                target.signal(signal.SIGCONT)
            self.assertFalse(publisher.closed)
            self.assert_clean(near)
            delays = sorted(near.log.delays_us)
            self.assertGreater(len(delays), 200)
            self.assertLess(delays[int(len(delays) * 0.99)], 400_000, "viewers are served in time")
            self.assertLess(slowest_s[0], 1, "and so is the API")
            self.assertLess(self.node.memory_kib() - memory, 80 * 1024, "the lag is bounded")
            flock.until(lambda: self.pushes()[0]["state"] == "running", 30, "it is served again")
            far = flock.play_flv(target.http, "live/fat")
            until_playing(flock, [far], timeout_s=30)

    def test_nginx_takes_a_push(self):
        address = relays.start_nginx(self, self.cluster.folder)
        self.tell("pushes", stream="live/a", url="rtmp://%s:%d/live/copy" % address)
        with swarm.Swarm() as flock:
            relays.until_accepting(flock, address)
            flock.publish(self.node.rtmp, "live/a", small())
            flock.until(lambda: self.pushes()[0]["state"] == "running", 10, "nginx takes it")
            viewer = flock.play_rtmp(address, "live/copy")
            until_playing(flock, [viewer])
            self.assert_clean(viewer)

    def test_codec_that_the_target_does_not_announce_is_not_sent_unless_told(self):
        """nginx announces nothing: what older servers do not understand is held back, and said."""
        address, target = relays.start_nginx(self, self.cluster.folder), self.make_peer()
        told = self.tell("pushes", stream="live/opus", url="rtmp://%s:%d/live/opus" % address)
        with swarm.Swarm() as flock:
            relays.until_accepting(flock, address)
            flock.publish(self.node.rtmp, "live/opus", relays.with_opus(small()))

            def run():
                return (self.pushes()[0]["streams"] or [{}])[0]
            flock.until(lambda: run().get("last_error"), 15, "it is said")
            self.assertIn("the stream has opus, which targets without fourCcList are not sent", run()["last_error"])
            self.tell("pushes", id=told["id"], stream="live/opus", codecs="all",
                      url="rtmp://%s:%d/live/opus" % address)
            flock.until(lambda: run().get("state") == "running", 15, "the operator knows better")
            self.tell("pushes", id=told["id"], stream="live/opus", url=target.url("live/opus"))
            viewer = flock.play_flv(target.http, "live/opus")
            until_playing(flock, [viewer])
            self.assert_clean(viewer)
            self.assertGreater(viewer.log.n_audio, 0, "it announces what it takes")

    def test_target_that_asks_for_a_password_gets_it(self):
        asked = []

        def refusal(app):
            asked.append(app)
            name, _, query = app.partition("?")
            said = dict(part.split("=", 1) for part in query.split("&") if part)
            if "user" not in said:
                return "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "
            if "response" not in said:
                return ("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth"
                        "&user=bob&salt=s4lt&challenge=ch4l&opaque=0paque")
            secret = md5_text("bob" + "s4lt" + "s3cret")
            good = md5_text(secret + "0paque" + said["challenge"])
            return None if said["response"] == good else "[ authmod=adobe ] : ?reason=authfailed&opaque=x"
        target = relays.HandMadeTarget(refusal)
        self.addCleanup(target.close)
        where = f"127.0.0.1:{target.port}/app"
        self.tell("pushes", id="good", stream="live/a", url=f"rtmp://bob:s3cret@{where}/key")
        with swarm.Swarm() as flock:
            flock.publish(self.node.rtmp, "live/a", small())
            flock.until(lambda: self.pushes()[0]["state"] == "running", 10, "it is let in")
            flock.until(lambda: target.n_media > 20, 10, "media comes")
            self.assertEqual((asked[0], asked[1], target.names), ("app", "app?authmod=adobe&user=bob", ["key"]))
            self.tell("pushes", id="good", stream="live/a", url=f"rtmp://bob:wr0ng@{where}/key", retry=1)
            flock.until(lambda: self.pushes()[0]["state"] == "failed", 10, "a wrong one is not")
            self.assertIn("does not believe user and password", self.pushes()[0]["streams"][0]["last_error"])
        self.assertNotIn("s3cret", self.node.log())
        self.assertNotIn("wr0ng", self.node.log())

    def test_target_with_another_message_stream_is_named(self):
        target = relays.HandMadeTarget(stream_id=5)
        self.addCleanup(target.close)
        self.tell("pushes", stream="live/a", url=f"rtmp://127.0.0.1:{target.port}/app/key", retry=1)
        with swarm.Swarm() as flock:
            flock.publish(self.node.rtmp, "live/a", small())
            flock.until(lambda: self.pushes()[0]["state"] == "failed", 10, "it is given up")
            self.assertIn("message stream id that is not 1", self.pushes()[0]["streams"][0]["last_error"])

    def test_push_over_tls_believes_only_who_proves_to_be_the_target(self):
        folder = self.cluster.folder
        authority = certs.Authority(folder, "relay-ca")
        cert, key = authority.issue("target", ["DNS:localhost", "IP:127.0.0.1"])
        target = self.make_peer(rtmps__listen="127.0.0.1:0", tls__certificates=[f"{cert}={key}"])
        doubter = self.make_peer(relay__allow_private_targets="true")
        believer = self.make_peer(relay__allow_private_targets="true", tls__ca_file=authority.path)
        url = "rtmps://localhost:%d/live/{name}" % target.rtmps[1]
        for node in (doubter, believer):
            self.tell("pushes", node=node, stream="live/*", url=url)
        with swarm.Swarm() as flock:
            flock.publish(doubter.rtmp, "live/doubt", small())
            flock.publish(believer.rtmp, "live/belief", small())
            viewer = flock.play_flv(target.http, "live/belief")
            until_playing(flock, [viewer])
            self.assert_clean(viewer)
            flock.until(lambda: self.pushes(doubter)[0]["streams"][0]["last_error"], 10, "the other one says why not")
            self.assertIn("certificate verify failed", self.pushes(doubter)[0]["streams"][0]["last_error"])

    def test_targets_of_the_configuration_need_no_leave(self):
        target = self.make_peer()
        node = self.make_peer(push__targets=[f"live/* url={target.url('')}from-conf/{{name}}"])
        with swarm.Swarm() as flock:
            flock.publish(node.rtmp, "live/a", small())
            viewer = flock.play_flv(target.http, "from-conf/a")
            until_playing(flock, [viewer])
            status, body = relays.call(node, "GET", "")
            self.assertEqual(status, 200)
            one, = body["items"]
            self.assertEqual((one["kind"], one["id"], one["origin"], one["state"]),
                             ("push", "push.targets.0", "config", "running"))
            config = harness.get_json(node.admin, "/api/v1/config")
            self.assertEqual(config["push.targets"], ["live/* url=rtmp://%s:%d/***" % target.rtmp])

    def test_host_of_a_push_is_not_for_the_publisher_to_choose(self):
        for url in ("rtmp://{name}:1935/live/x", "rtmp://u:{app}@h/live/x", "rtmp://{app}.example/live/{name}"):
            status, body = self.call("POST", "pushes", {"stream": "live/*", "url": url})
            self.assertEqual((status, "follows the host" in body["detail"]), (400, True), url)

    def test_bad_pushes_are_refused_with_the_reason(self):
        good = {"stream": "live/a", "url": "rtmp://127.0.0.1/live/a"}
        for change, said in (({"url": "http://127.0.0.1/x"}, "body: url: HTTP is for pulls alone"),
                             ({"url": "rtsp://127.0.0.1/x/y"}, "body: url: RTSP is not there yet"),
                             ({"url": "ftp://h/x"}, "body: url: of no known scheme"),
                             ({"url": "rtmp://h"}, "body: url: an URL that is not rtmp"),
                             ({"stream": "*"}, "body: stream: "),
                             ({"wrong": 1}, "body: wrong: "),
                             ({"retry": "x"}, "body: retry: "),
                             ({"codecs": "none"}, "body: codecs: ")):
            status, body = self.call("POST", "pushes", {**good, **change})
            self.assertEqual(status, 400, change)
            self.assertIn(said, body["detail"])
        self.assertEqual(self.call("DELETE", "pushes/nobody")[0], 404)

    def test_200_tries_in_vain_leave_nothing_behind(self):
        with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections and closes them at once
            for i in range(60):
                self.tell("pushes", id=f"vain{i}", stream="live/vain",
                          url="rtmp://127.0.0.1:%d/live/%d" % (server.getsockname()[1], i))
            server.setblocking(False)
            with swarm.Swarm() as flock:
                flock.publish(self.node.rtmp, "live/vain", small())
                counted = [0]

                def tried(n):
                    def look():
                        try:
                            while True:
                                server.accept()[0].close()
                                counted[0] += 1
                        except BlockingIOError:
                            return counted[0] >= n
                    return look
                flock.until(tried(120), 30, "120 tries")
                n_files, memory = relays.n_files(self.node), self.node.memory_kib()
                flock.until(tried(320), 60, "200 more")
                self.assertLessEqual(relays.n_files(self.node), n_files + 60)
                self.assertLess(self.node.memory_kib() - memory, 16 * 1024)


if __name__ == "__main__":
    harness.main()
