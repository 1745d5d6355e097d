"""What others hear of pulls and pushes: each begin and each end once, with its reason, by hooks and in the access
log, whoever ends it; and what becomes of them when they are kicked, when the other side is mad, and when the node is
drained or replaced."""

import json
import os
import signal
import socket
import time
from collections import Counter

import harness
import media
import relays
import swarm
from receiver import Receiver
from test_cluster import until_playing
from test_replace import replace

STARTS = {"on_pull_start": "pull", "on_push_start": "push"}
STOPS = {"on_pull_stop": "pull", "on_push_stop": "push"}


def small():
    return swarm.Clip(media.clip("small"))


def flv_file(n_frames):
    """The beginning of a clip, as a server sends it."""
    with open(media.clip("small"), "rb") as file:
        return file.read()[:n_frames * 700]


class ToldTest(relays.RelayTest):
    def make_told(self, **more):
        """A node with a receiver of its hooks, and its access log."""
        receiver = Receiver()
        self.addCleanup(receiver.close)
        path = os.path.join(self.cluster.folder, f"access-{len(self.cluster.processes)}.log")
        events = "|".join([*STARTS, *STOPS])
        node = self.make_peer(relay__allow_private_targets="true", access_log__file=path,
                              hooks__targets=[f"{receiver.url()} events={events}"], **more)
        return node, receiver, path

    def kick(self, node, session):
        status, _, body = harness.http_request(node.admin, f"/api/v1/sessions/{session}", "DELETE",
                                               {"Content-Type": "application/json"})
        self.assertEqual(status, 204, body)

    def check_told(self, receiver, path):
        """Each session began and ended once, and the access log says the same of its end. Gives the reasons."""
        begun = Counter((STARTS[e["event"]], e["session"]) for e in receiver.events(*STARTS))
        ended = Counter((STOPS[e["event"]], e["session"]) for e in receiver.events(*STOPS))
        self.assertEqual(begun, ended)
        self.assertEqual(set(begun.values()), {1})
        self.assertEqual(receiver.problems, [])
        reasons = {e["session"]: e["reason"] for e in receiver.events(*STOPS)}
        with open(path, encoding="utf-8") as file:
            entries = [json.loads(line) for line in file]
        logged = {e["session"]: e["reason"] for e in entries if e["kind"] in ("pull", "push")}
        self.assertEqual(len(logged), len([e for e in entries if e["kind"] in ("pull", "push")]), "one line each")
        self.assertEqual(logged, reasons)
        for event in receiver.events(*STARTS, *STOPS):
            self.assertTrue(event["url"].endswith("/***"), event)
        return [(STOPS[e["event"]], e["reason"]) for e in receiver.events(*STOPS)]

    def test_each_begin_and_end_is_told_once(self):
        source, target = self.make_peer(), self.make_peer()
        node, receiver, path = self.make_told()
        self.tell("pulls", node=node, stream="live/a", urls=[source.url("cam/1")], mode="always")
        self.tell("pushes", node=node, id="copy", stream="live/*", url=target.url("copy/{name}"))

        def n_of(event):
            return len(receiver.events(event))

        def current(kind):
            if kind == "pull":
                return self.pull("live/a", node)["session"]
            streams = self.pushes(node)[0]["streams"]
            return streams[0]["session"] if streams and streams[0]["state"] == "running" else None
        with swarm.Swarm() as flock:
            flock.publish(source.rtmp, "cam/1", small())
            flock.until(lambda: n_of("on_push_start") == 1, 30, "pulled, and pushed on")
            # A kick ends the connection; what was told stands, so it comes back.
            first = current("pull")
            self.kick(node, first)
            flock.until(lambda: n_of("on_pull_start") == 2, 15, "the pull comes back")
            flock.until(lambda: current("push"), 15, "and is pushed on")
            self.assertNotEqual(current("pull"), first)
            n_pushes = n_of("on_push_start")
            self.kick(node, current("push"))
            flock.until(lambda: n_of("on_push_start") == n_pushes + 1, 15, "the push comes back")
            viewer = flock.play_flv(target.http, "copy/a")
            until_playing(flock, [viewer])
            # A publisher takes the stream, and goes again.
            publisher = flock.publish(node.rtmp, "live/a", small())
            flock.until(lambda: n_of("on_pull_stop") == 2, 15, "the pull is over")
            publisher.close()
            flock.until(lambda: n_of("on_pull_start") == 3, 30, "and comes back")
            self.assertEqual(self.call("DELETE", "pulls/live/a", node=node)[0], 204)
            flock.until(lambda: n_of("on_pull_stop") == 3, 15, "it is removed")
            flock.until(lambda: not node.streams(), 15, "and so the stream ends")
            flock.publish(node.rtmp, "live/last", small())
            self.tell("pulls", node=node, stream="live/b", urls=[source.url("cam/1")], mode="always")
            flock.until(lambda: n_of("on_pull_start") == 4, 15, "another pull")
            n_pushes = n_of("on_push_start")
            flock.until(lambda: all(s["state"] == "running" for s in self.pushes(node)[0]["streams"])
                        and len(self.pushes(node)[0]["streams"]) == 2, 15, "both are pushed")
            node.signal(signal.SIGTERM)
            node.expect_death = True
            flock.until(lambda: not node.is_alive(), 30, "it leaves")
            self.assertEqual(node.popen.returncode, 0, node.tail())
        reasons = self.check_told(receiver, path)
        self.assertEqual([why for kind, why in reasons if kind == "pull"],
                         ["closed by the operator", "published here", "changed or removed by an operator",
                          "this node is shutting down"])
        pushes = [why for kind, why in reasons if kind == "push"]
        self.assertIn("closed by the operator", pushes)
        self.assertEqual(pushes[-2:].count("this node is shutting down"), 2, pushes)

    def test_source_that_flaps_is_asked_less_and_less_and_leaves_nothing(self):
        node, receiver, path = self.make_told()
        asked = []

        def flap(peer):
            try:
                harness.read_head(peer)
                asked.append(time.monotonic())
                peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + flv_file(10))
                time.sleep(0.2)
            except OSError:
                pass
            peer.close()
        server = harness.Listener(flap)
        self.addCleanup(server.close)
        self.tell("pulls", node=node, stream="live/a", urls=[f"http://127.0.0.1:{server.port}/a.flv"], mode="always")
        harness.wait_until(lambda: len(asked) >= 3, 15, "asked")
        n_files = relays.n_files(node)
        time.sleep(max(0.0, asked[0] + 14 - time.monotonic()))
        pauses = [b - a for a, b in zip(asked, asked[1:])]
        self.assertLessEqual(len(asked), 6, pauses)  # 0, 0.7, 1.9, 4.1, 8.3 s, give or take
        self.assertGreater(pauses[-1], 2 * pauses[0], pauses)
        self.assertLessEqual(relays.n_files(node), n_files + 4)
        self.assertEqual(self.call("DELETE", "pulls/live/a", node=node)[0], 204)
        harness.wait_until(lambda: not node.streams(), 15, "no stream is left")
        harness.wait_until(lambda: len(receiver.events("on_pull_stop")) == len(asked), 10, "all ends are told")
        self.check_told(receiver, path)

    def test_pull_that_was_given_up_stays_so_until_it_is_told_anew(self):
        asked = []

        def refuse(peer):
            asked.append(harness.read_head(peer))
            peer.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            peer.close()
        server = harness.Listener(refuse)
        self.addCleanup(server.close)
        told = {"stream": "live/a", "urls": [f"http://127.0.0.1:{server.port}/a.flv"], "mode": "always", "retry": 2}
        self.tell("pulls", **told)
        harness.wait_until(lambda: self.pull("live/a")["state"] == "failed", 15, "it is given up")
        self.assertEqual(len(asked), 2)
        time.sleep(6)  # the stream has gone meanwhile, and its keeper has begun it anew
        self.assertEqual((len(asked), self.pull("live/a")["state"]), (2, "failed"))
        self.tell("pulls", **told)
        harness.wait_until(lambda: len(asked) == 4, 15, "told anew, it is tried again")

    def test_targets_and_sources_that_answer_garbage_hurt_nobody(self):
        def answers(data, hold=False):
            def serve(peer):
                try:
                    peer.sendall(data)
                    if hold:
                        time.sleep(3)
                    while peer.recv(65536):
                        pass
                except OSError:
                    pass
                peer.close()
            listener = harness.Listener(serve)
            self.addCleanup(listener.close)
            return listener.port
        noise = bytes((i * 73 + 11) % 256 for i in range(70000))
        junk = {"http": answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "noise": answers(noise),
                "handshake": answers(b"\x03" + bytes(3072) + noise), "nothing": answers(b"", hold=True),
                "half": answers(b"\x03" + bytes(1000), hold=True)}
        node = self.make_peer(relay__allow_private_targets="true")
        for name, port in junk.items():
            self.tell("pushes", node=node, id=name, stream="live/a", url=f"rtmp://127.0.0.1:{port}/x/y")
            self.tell("pulls", node=node, stream=f"pull/{name}", mode="always",
                      urls=[f"rtmp://127.0.0.1:{port}/x/y", f"http://127.0.0.1:{port}/x.flv",
                            f"http://127.0.0.1:{port}/x.ts"])
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/a", small())
            viewer = flock.play_flv(node.http, "live/a")
            until_playing(flock, [viewer], n=100)

            def errors():
                told = {p["id"]: (p["streams"] or [{}])[0].get("last_error") for p in self.pushes(node)}
                told.update({p["stream"]: p["last_error"] for p in relays.call(node, "GET", "pulls")[1]["items"]})
                return told
            flock.until(lambda: all(errors().values()), 30, "each has its error")
            self.assertFalse(publisher.closed)
            self.assert_clean(viewer)
            self.assertIn("broke the protocol", errors()["noise"])
            self.assertIn("no answer", errors()["nothing"])

    def test_codec_that_comes_in_mid_push_is_named_and_the_push_comes_back(self):
        target = relays.HandMadeTarget()
        self.addCleanup(target.close)
        node, receiver, path = self.make_told()
        self.tell("pushes", node=node, id="copy", stream="live/a", url=f"rtmp://127.0.0.1:{target.port}/live/copy")

        def run():
            return self.pushes(node)[0]["streams"][0]
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/a", small())
            flock.until(lambda: target.n_media > 50, 15, "it is sent")
            publisher.close()
            publisher = flock.publish(node.rtmp, "live/a", relays.with_opus(small()))
            flock.until(lambda: "opus" in (run()["last_error"] or ""), 20, "Opus is named")
            n_media = target.n_media
            publisher.close()
            flock.publish(node.rtmp, "live/a", small())
            flock.until(lambda: target.n_media > n_media + 50, 30, "it is sent again")
            self.assertEqual(self.call("DELETE", "pushes/copy", node=node)[0], 204)
            flock.until(lambda: len(receiver.events(*STOPS)) == len(receiver.events(*STARTS)), 10, "the end is told")
        reasons = self.check_told(receiver, path)
        self.assertTrue(any("opus" in why for _, why in reasons), reasons)

    def test_500_targets_of_one_stream_most_of_them_dead_delay_nobody(self):
        target = self.make_peer()
        node = self.make_peer(relay__allow_private_targets="true")
        with socket.create_server(("127.0.0.1", 0)) as closed:
            dead = closed.getsockname()[1]
        for i in range(500):
            url = target.url(f"copy/{i}") if i % 25 == 0 else f"rtmp://127.0.0.1:{dead}/copy/{i}"
            self.tell("pushes", node=node, id=f"t{i}", stream="live/a", url=url)
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/a", small())
            viewer = flock.play_flv(node.http, "live/a")
            viewer.log.delays_us = []
            flock.until(lambda: len([s for s in target.sessions() if s["kind"] == "publish"]) == 20, 40, "20 arrive")
            until_playing(flock, [viewer], n=100)
            self.assertFalse(publisher.closed)
            self.assert_clean(viewer)
            self.assertLess(sorted(viewer.log.delays_us)[len(viewer.log.delays_us) // 2], 100_000)
            copy = flock.play_flv(target.http, "copy/475")
            until_playing(flock, [copy])
            publisher.close()
            flock.until(lambda: not node.streams(), 15, "the stream ends")
            flock.until(lambda: not [s for s in target.sessions() if s["kind"] == "publish"], 15, "no copy is left")
        self.assertLess(relays.n_files(node), 60)

    def test_replaced_node_goes_on_with_pulls_and_pushes(self):
        source = self.make_peer()
        target = relays.HandMadeTarget()
        self.addCleanup(target.close)
        folder = self.cluster.folder
        node = self.make_peer(relay__allow_private_targets="true", state__file=os.path.join(folder, "replaced.state"),
                              handover__socket=os.path.join(folder, "replaced"), drain_timeout_s="6")
        self.tell("pulls", node=node, stream="live/a", urls=[source.url("cam/1")], mode="always")
        self.tell("pushes", node=node, id="copy", stream="live/*",
                  url=f"rtmp://127.0.0.1:{target.port}/live/{{name}}")
        with swarm.Swarm() as flock:
            flock.publish(source.rtmp, "cam/1", small())
            flock.until(lambda: target.n_media > 50, 30, "pulled, and pushed on")
            old_viewer = flock.play_flv(node.http, "live/a")
            until_playing(flock, [old_viewer])
            fresh = replace(self.cluster, node)
            self.started.append(fresh)
            flock.until(lambda: fresh.log_lines(" msg=ready") or not fresh.is_alive(), 20, "the new one is ready")
            self.assertTrue(fresh.is_alive(), fresh.tail())
            node.expect_death = True
            fresh.learn()
            viewer = flock.play_flv(fresh.http, "live/a")
            until_playing(flock, [viewer, old_viewer])
            flock.until(lambda: target.n_here == 1 and [s for s in fresh.sessions() if s["kind"] == "push"], 4,
                        "the new one alone pushes, though the old one has viewers")
            self.assertTrue(node.is_alive())
            flock.until(lambda: not node.is_alive(), 20, "the old one has left")
            self.assertEqual(node.popen.returncode, 0, node.tail())
            flock.until(lambda: self.pull("live/a", fresh)["state"] == "running", 20, "the new one pulls by itself")
            n_media = target.n_media
            flock.until(lambda: target.n_media > n_media + 50, 20, "and pushes on")
            self.assertEqual([s["state"] for s in self.pushes(fresh)[0]["streams"]], ["running"])
            until_playing(flock, [viewer])
            self.assertFalse([p for p in viewer.log.problems if "time stamp" in p], "time never goes back")


if __name__ == "__main__":
    harness.main()
