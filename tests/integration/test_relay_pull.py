"""Pulls from foreign servers that are told by API: on demand and always, from several places in order, beside
publishers, over redirects, and only where they may go; kept across restarts."""

import os
import signal
import socket
import time

import harness
import media
import relays
import swarm
from test_cluster import until_playing


def small():
    return swarm.Clip(media.clip("small"))


class PullTest(relays.RelayTest):
    def pull_from(self, *urls, stream="live/a", **more):
        return self.tell("pulls", stream=stream, urls=list(urls), **more)

    def until_state(self, flock, state, stream="live/a", timeout_s=15):
        flock.until(lambda: self.pull(stream)["state"] == state, timeout_s, f"{stream} is {state}")
        return self.pull(stream)

    def test_on_demand_pull_runs_while_somebody_watches(self):
        source = self.make_peer()
        told = self.pull_from(source.url("cam/1") + "?key=s3cret", idle_ms=300)
        self.assertEqual((told["state"], told["urls"]), ("idle", ["rtmp://%s:%d/***" % source.rtmp]))
        with swarm.Swarm() as flock:
            flock.publish(source.rtmp, "cam/1", small())
            flock.run(0.5)
            self.assertEqual((self.pull("live/a")["state"], self.node.streams()), ("idle", []))
            viewers = [flock.play_flv(self.node.http, "live/a"), flock.play_rtmp(self.node.rtmp, "live/a")]
            until_playing(flock, viewers)
            pull = self.pull("live/a")
            self.assertEqual((pull["state"], pull["tries"], pull["last_error"]), ("running", 1, None))
            self.assertEqual(pull["current_url"], "rtmp://%s:%d/***" % source.rtmp)
            session, = [s for s in self.node.sessions() if s["kind"] == "pull"]
            self.assertEqual(session["id"], pull["session"])
            self.assert_clean(*viewers)
            for viewer in viewers:
                viewer.close()
            self.until_state(flock, "idle")
            flock.until(lambda: not [s for s in source.sessions() if s["kind"] == "play"], 5, "it left the source")
        self.assertNotIn("s3cret", self.node.log())
        self.assertNotIn("s3cret", str(relays.call(self.node, "GET", "")))

    def test_pull_of_mode_always_needs_no_viewer_and_outlives_its_source(self):
        source = self.make_peer()
        self.pull_from(source.url("cam/1"), mode="always")
        with swarm.Swarm() as flock:
            self.until_state(flock, "waiting")
            self.assertIn("rtmp://%s:%d/***: " % source.rtmp, self.pull("live/a")["last_error"])
            publisher = flock.publish(source.rtmp, "cam/1", small())
            self.until_state(flock, "running", timeout_s=30)
            flock.run(1.5)  # longer than pull_idle_ms
            self.assertEqual(self.pull("live/a")["state"], "running")
            viewer = flock.play_flv(self.node.http, "live/a")
            until_playing(flock, [viewer])
            publisher.close()
            source.kill()
            self.until_state(flock, "waiting")
            source = self.cluster.restart_node(source)
            flock.publish(source.rtmp, "cam/1", small())
            self.until_state(flock, "running", timeout_s=30)
            viewer = flock.play_flv(self.node.http, "live/a")
            until_playing(flock, [viewer])
            self.assertEqual(self.call("DELETE", "pulls/live/a")[0], 204)
            flock.until(lambda: not self.node.streams(), 10, "it ends when it is removed")

    def test_places_are_tried_in_order_and_the_first_one_is_returned_to(self):
        first, second = self.make_peer(), self.make_peer()
        node = self.make_peer(relay__allow_private_targets="true", pull__failback_ms="1000")
        self.tell("pulls", node=node, stream="live/a", urls=[first.url("cam/1"), second.url("cam/1")])
        with swarm.Swarm() as flock:
            flock.publish(first.rtmp, "cam/1", small())
            flock.publish(second.rtmp, "cam/1", small())
            viewer = flock.play_flv(node.http, "live/a")
            until_playing(flock, [viewer])

            def current():
                pull = self.pull("live/a", node)
                return pull["current_url"] if pull["state"] == "running" else None
            self.assertEqual(current(), "rtmp://%s:%d/***" % first.rtmp)
            first.kill()
            flock.until(lambda: current() == "rtmp://%s:%d/***" % second.rtmp, 15, "the second one is used")
            until_playing(flock, [viewer])
            first = self.cluster.restart_node(first)
            flock.publish(first.rtmp, "cam/1", small())
            flock.until(lambda: current() == "rtmp://%s:%d/***" % first.rtmp, 15, "the first one is returned to")
            until_playing(flock, [viewer])
            self.assertFalse(viewer.closed)
            self.assertFalse([p for p in viewer.log.problems if "time stamp" in p], "time never goes back")

    def test_failing_pull_hurts_no_publisher_and_comes_back_when_that_is_gone(self):
        """Whose input a stream has is not for an attempt to say that never became one."""
        asked = []

        def never_answer(peer):
            asked.append(peer)
            try:
                while peer.recv(4096):
                    pass
                peer.close()
            except OSError:
                pass
        source = harness.Listener(never_answer)
        self.addCleanup(source.close)
        self.pull_from(f"rtmp://127.0.0.1:{source.port}/cam/1", mode="always")
        with swarm.Swarm() as flock:
            flock.until(lambda: asked, 10, "the source is asked")
            publisher = flock.publish(self.node.rtmp, "live/a", small())
            viewer = flock.play_flv(self.node.http, "live/a")
            until_playing(flock, [viewer])
            for peer in list(asked):
                peer.close()  # and so the pull fails, while the stream is published
            until_playing(flock, [viewer], n=150)
            self.assertFalse(publisher.closed)
            self.assert_clean(viewer)
            self.assertEqual([s["kind"] for s in self.node.sessions() if s["kind"] != "play"], ["publish"])
            second = flock.publish(self.node.rtmp, "live/a", small())
            flock.until(lambda: second.codes or second.closed, 5, "a second publisher is answered")
            self.assertIn("NetStream.Publish.BadName", second.codes)
            n_asked = len(asked)
            self.assertEqual(self.pull("live/a")["state"], "idle")
            publisher.close()
            flock.until(lambda: len(asked) > n_asked, 15, "the source is asked again when the publisher is gone")

    def test_publisher_takes_the_stream_from_the_pull(self):
        source = self.make_peer()
        self.pull_from(source.url("cam/1"), mode="always")
        with swarm.Swarm() as flock:
            flock.publish(source.rtmp, "cam/1", small())
            self.until_state(flock, "running", timeout_s=30)
            publisher = flock.publish(self.node.rtmp, "live/a", small())
            self.until_state(flock, "idle")
            viewer = flock.play_flv(self.node.http, "live/a")
            until_playing(flock, [viewer])
            self.assertFalse(publisher.closed or publisher.error)
            publisher.close()
            self.until_state(flock, "running", timeout_s=30)

    def test_redirects_of_http_are_followed_a_few_times(self):
        source = self.make_peer()
        n_asked = []

        def redirect(peer):
            head = harness.read_head(peer)
            n_asked.append(head)
            to = b"/again" if b"/once" in head else source.url("cam/1", "http").encode()
            if b"/loop" in head:
                to = b"/loop"
            peer.sendall(b"HTTP/1.1 302 Found\r\nLocation: " + to + b"\r\nContent-Length: 0\r\n\r\n")
            peer.close()
        server = harness.Listener(redirect)
        self.addCleanup(server.close)
        self.pull_from(f"http://us%65r:pass@127.0.0.1:{server.port}/once")
        self.pull_from(f"http://127.0.0.1:{server.port}/loop", stream="live/loop", retry=1)
        with swarm.Swarm() as flock:
            flock.publish(source.rtmp, "cam/1", small())
            viewer, lost = flock.play_flv(self.node.http, "live/a"), flock.play_flv(self.node.http, "live/loop")
            until_playing(flock, [viewer])
            self.assert_clean(viewer)
            self.assertIn(b"Authorization: Basic dXNlcjpwYXNz", n_asked[0] + n_asked[-1] + b"".join(n_asked))
            self.until_state(flock, "failed", stream="live/loop")
            self.assertIn("more than 5 redirects", self.pull("live/loop")["last_error"])
            lost.close()

    def test_addresses_that_are_not_public_are_refused_unless_allowed(self):
        strict = self.make_peer(relay__allowed_networks="")
        with socket.create_server(("127.0.0.1", 0)) as trap:
            port = trap.getsockname()[1]
            for host in ("127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]"):
                status, body = relays.call(strict, "POST", "pulls",
                                           {"stream": "live/a", "urls": [f"rtmp://{host}:{port}/live/a"]})
                self.assertEqual((status, "not a public address" in body["detail"]), (400, True), host)
            # Numbers as C writes them are names to us, and what they lead to is looked at.
            hosts = ("2130706433", "0x7f.0.0.1", "127.1", "0", "8.8.8.8@127.1", "localhost.")
            for i, host in enumerate(hosts):
                self.tell("pulls", node=strict, stream=f"odd/{i}", urls=[f"http://{host}:{port}/a.flv"], retry=1,
                          mode="always")
            for i, host in enumerate(hosts):
                harness.wait_until(lambda: self.pull(f"odd/{i}", strict)["state"] == "failed", 15, host)
                self.assertRegex(self.pull(f"odd/{i}", strict)["last_error"],
                                 "relay.allowed_networks|no address|not found")
            # A name says only where the connection is made.
            self.tell("pulls", node=strict, stream="live/name", urls=[f"http://localhost:{port}/a.flv"], retry=1,
                      mode="always")
            self.tell("pushes", node=strict, stream="live/pub", url=f"rtmp://localhost:{port}/live/a", retry=1)
            with swarm.Swarm() as flock:
                flock.publish(strict.rtmp, "live/pub", small())
                flock.until(lambda: self.pull("live/name", strict)["state"] == "failed", 15, "the pull is refused")
                self.assertIn("relay.allowed_networks", self.pull("live/name", strict)["last_error"])
                flock.until(lambda: self.pushes(strict)[0]["state"] == "failed", 15, "and so is the push")
                self.assertIn("relay.allowed_networks", self.pushes(strict)[0]["streams"][0]["last_error"])
            trap.setblocking(False)
            with self.assertRaises(BlockingIOError):
                trap.accept()

    def test_redirect_to_an_address_that_is_not_allowed_is_refused(self):
        with socket.create_server(("127.0.0.2", 0)) as trap:
            def redirect(peer):
                harness.read_head(peer)
                peer.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:%d/a.flv\r\n\r\n"
                             % trap.getsockname()[1])
                peer.close()
            server = harness.Listener(redirect)
            self.addCleanup(server.close)
            node = self.make_peer(relay__allowed_networks="127.0.0.1")
            self.tell("pulls", node=node, stream="live/a", urls=[f"http://127.0.0.1:{server.port}/a"], mode="always",
                      retry=1)
            with swarm.Swarm() as flock:
                flock.until(lambda: self.pull("live/a", node)["state"] == "failed", 15, "it is refused")
            self.assertIn("not a public address", self.pull("live/a", node)["last_error"])
            trap.setblocking(False)
            with self.assertRaises(BlockingIOError):
                trap.accept()

    def test_bad_pulls_are_refused_with_the_reason(self):
        good = {"stream": "live/a", "urls": ["rtmp://127.0.0.1/live/a"]}
        for change, said in (({"urls": []}, "body: urls: is empty"),
                             ({"urls": "rtmp://h/a/b"}, "body: urls: "),
                             ({"urls": ["rtsp://127.0.0.1/x"]}, "body: urls[0]: RTSP is not there yet"),
                             ({"urls": ["http://127.0.0.1/x.m3u8"]}, "body: urls[0]: HLS is not read yet"),
                             ({"urls": ["rtmp://h/a/b", "gopher://h/x"]}, "body: urls[1]: of no known scheme"),
                             ({"urls": ["rtmp://h/***"]}, "body: urls[0]: an URL as it is shown"),
                             ({"stream": "live"}, "body: stream: "),
                             ({"stream": "../a"}, "body: stream: "),
                             ({"mode": "never"}, "body: mode: "),
                             ({"idle_ms": -1}, "body: idle_ms: "),
                             ({"why": 1}, "body: why: ")):
            status, body = self.call("POST", "pulls", {**good, **change})
            self.assertEqual(status, 400, change)
            self.assertIn(said, body["detail"])
        self.assertEqual(self.call("GET", "pulls/live/nobody")[0], 404)
        self.assertEqual(self.call("DELETE", "pulls/live/nobody")[0], 404)
        sources = ["live/a=rtmp://127.0.0.1/x/y", "live/b urls=rtmp://h/a/b|http://h/c mode=always"]
        node = self.make_peer(pull__sources=sources, relay__allow_private_targets="true")
        status, body = relays.call(node, "POST", "pulls", good)
        self.assertEqual((status, "pull.sources" in body["detail"]), (409, True))
        listed = relays.call(node, "GET", "")[1]["items"]
        self.assertEqual([(p["stream"], p["mode"], p["origin"]) for p in listed],
                         [("live/a", "on_demand", "config"), ("live/b", "always", "config")])

    def test_relays_told_by_api_are_there_after_a_restart(self):
        source, target = self.make_peer(), self.make_peer()
        path = os.path.join(self.cluster.folder, "relays.state")
        node = self.make_peer(relay__allow_private_targets="true", state__file=path)
        self.tell("pulls", node=node, stream="live/a", urls=[source.url("cam/1") + "?key=k3y"], mode="always")
        self.tell("pushes", node=node, id="copy", stream="live/*", url=target.url("copy/{name}"))
        with swarm.Swarm() as flock:
            flock.publish(source.rtmp, "cam/1", small())
            viewer = flock.play_flv(target.http, "copy/a")
            until_playing(flock, [viewer], timeout_s=30)  # a pull of mode always is pushed on
            node.kill()
            node = self.cluster.restart_node(node)
            self.assertEqual([p["id"] for p in self.pushes(node)], ["copy"])
            viewer = flock.play_flv(target.http, "copy/a")
            until_playing(flock, [viewer], timeout_s=30)
            # it may be playing what the target still had
            flock.until(lambda: self.pull("live/a", node)["state"] == "running", 30, "the pull is running")

    def test_frozen_source_is_left_for_the_next_one(self):
        first, second = self.make_peer(), self.make_peer()
        self.pull_from(first.url("cam/1"), second.url("cam/1"))
        with swarm.Swarm() as flock:
            flock.publish(first.rtmp, "cam/1", small())
            flock.publish(second.rtmp, "cam/1", small())
            viewer = flock.play_flv(self.node.http, "live/a")
            until_playing(flock, [viewer])
            first.signal(signal.SIGSTOP)
            try:
                flock.until(lambda: self.pull("live/a")["current_url"].endswith("%d/***" % second.rtmp[1]), 20,
                            "the next one is used")
                until_playing(flock, [viewer])
            finally:
                first.signal(signal.SIGCONT)

    def test_200_tries_in_vain_leave_nothing_behind(self):
        answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        n_asked = []

        def refuse(peer):
            n_asked.append(bool(harness.read_head(peer)))
            peer.sendall(answer)
            peer.close()
        server = harness.Listener(refuse)
        self.addCleanup(server.close)
        for i in range(20):
            urls = [f"http://127.0.0.1:{server.port}/{n}" for n in range(4)]
            self.pull_from(*urls, stream=f"vain/{i}", mode="always")
        harness.wait_until(lambda: len(n_asked) >= 80, 30, "80 tries")
        n_files, memory = relays.n_files(self.node), self.node.memory_kib()
        harness.wait_until(lambda: len(n_asked) >= 300, 60, "300 tries")
        self.assertLessEqual(relays.n_files(self.node), n_files + 20)
        self.assertLess(self.node.memory_kib() - memory, 16 * 1024)
        started = time.monotonic()
        self.assertEqual(len(relays.call(self.node, "GET", "pulls")[1]["items"]), 20)
        self.assertLess(time.monotonic() - started, 2)


if __name__ == "__main__":
    harness.main()
