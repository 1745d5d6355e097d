"""headwater-node --replace: a new process takes the place of the one that runs, and nobody notices."""

import os
import signal
import socket
import stat
import time

import harness
import media
import swarm
from test_drain import ASKED, across, publish_after, publish_with_reconnect, small, until_playing, wait_left


def replace(cluster, node, **more):
    """Starts a process that replaces node's; keys with __ for dots. Not waited for."""
    sets = {**node.sets, **{key.replace("__", "."): value for key, value in more.items()}}
    fresh = harness.Node.__new__(harness.Node)
    fresh.id, fresh.sets = node.id, sets
    started = harness.program("headwater-node", sets, cluster.folder, f"{node.id}-next", ["--replace"])
    fresh.__dict__.update(started.__dict__)
    cluster.processes.append(fresh)
    return fresh


class Herd:
    """Viewers that come all the time, one every so often; each leaves when it has seen some video."""

    def __init__(self, flock, address, stream, every_s=0.02):
        self.flock, self.address, self.stream, self.every_s = flock, address, stream, every_s
        self.here, self.n_served, self.failed = [], 0, []
        self.due = time.monotonic()

    def step(self):
        now = time.monotonic()
        while self.due <= now:
            self.here.append(self.flock.play_flv(self.address, self.stream))
            self.due += self.every_s
        for viewer in list(self.here):
            if viewer.error or (viewer.closed and not viewer.log.n_video):
                self.failed.append(f"{viewer.error or viewer.status}")
            elif viewer.log.n_video:
                self.n_served += 1
                viewer.close()
            else:
                continue
            self.here.remove(viewer)

    def until(self, condition, timeout_s, what):
        def go_on():
            self.step()
            return condition()
        self.flock.until(go_on, timeout_s, what)

    def run(self, seconds):
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end, seconds + 5, "time passes")

    def finish(self):
        self.due = float("inf")
        self.until(lambda: not self.here, 15, "those who came are all served")


class ReplaceTest(harness.ClusterTest):
    """A single server: the second process has no scheduler to help it."""

    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0}

    def start_node(self, index, **more):
        path = os.path.join(self.cluster.folder, f"handover-{index}")
        node = self.cluster.make_node("origin", index, handover__socket=path, drain_timeout_s="60", **more)
        self.cluster.origins.append(node)
        return node.learn()

    def take_over(self, flock, node, herd=None, **more):
        """Replaces node's process; returns the new one when it serves and the old one drains."""
        fresh = replace(self.cluster, node, **more)
        run = herd.until if herd else flock.until
        run(lambda: fresh.log_lines(" msg=ready") or not fresh.is_alive(), 20, "the new process is ready")
        self.assertTrue(fresh.is_alive(), fresh.tail())
        run(lambda: node.log_lines("msg=draining"), 10, "the old one drains")
        node.expect_death = True  # it leaves by itself; wait_left() looks at how
        fresh.learn()
        self.assertEqual((fresh.rtmp, fresh.http, fresh.admin), (node.rtmp, node.http, node.admin))
        return fresh

    def test_no_connection_is_lost_while_viewers_come_all_the_time(self):
        node = self.start_node(1)
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/a", small())
            [old_viewer] = across(flock.play_flv(node.http, "live/a"))
            until_playing(flock, [old_viewer])
            herd = Herd(flock, node.http, "live/a")
            herd.run(1)
            processes = [node]
            for loops in ("2", "1", "3"):  # the listeners of two loops, then on one, then on three
                fresh = self.take_over(flock, processes[-1], herd, loops=loops)
                marks = herd.n_served, publisher.n_sent
                herd.run(1.5)
                self.assertGreater(herd.n_served, marks[0] + 20)
                if len(processes) == 1:  # what the first one has stays: it has no other encoder
                    self.assertFalse(publisher.closed, "the publisher of the old process goes on")
                    self.assertGreater(publisher.n_sent, marks[1])
                    self.assert_clean(old_viewer)
                    again = publish_after(flock, publisher, node.rtmp)
                    herd.until(lambda: again.is_running, 10, "an encoder comes to the new one")
                    publisher.ended = True
                    seen = old_viewer.log.n_video
                    herd.until(lambda: old_viewer.log.n_video > seen + 20, 10,
                               "viewers of the old process see what comes to the new one")
                    self.assert_clean(old_viewer)
                    old_viewer.close()
                else:  # the encoder is the only one left there
                    again.close()
                    again = publish_after(flock, again, node.rtmp)
                wait_left(flock if not herd else _Both(herd), processes[-1], 15)
                processes.append(fresh)
            herd.finish()
            self.assertEqual(herd.failed, [])
            self.assertGreater(herd.n_served, 200)

    def test_viewers_of_the_new_process_play_what_is_published_at_the_old_one(self):
        node = self.start_node(2)
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/a", small())
            flock.until(lambda: publisher.n_sent > 20, 10)
            fresh = self.take_over(flock, node)
            viewers = across(flock.play_flv(node.http, "live/a"), flock.play_rtmp(node.rtmp, "live/a"))
            until_playing(flock, viewers, "by a pull from the old process", 40)
            self.assert_clean(*viewers)
            self.assertEqual([s["protocol"] for s in fresh.sessions() if s["kind"] == "pull"], ["relay"])
            publisher.close()
            wait_left(flock, node)
            again = publish_after(flock, publisher, node.rtmp)
            flock.until(lambda: again.is_running, 10, "the stream is free")
            until_playing(flock, viewers, "and goes on in the new process")
            self.assert_clean(*viewers)

    def test_encoders_that_can_are_asked_to_come_again_and_find_the_new_process(self):
        node = self.start_node(3)
        with swarm.Swarm() as flock:
            encoders = [publish_with_reconnect(flock, node.rtmp, f"live/{i}") for i in range(8)]
            viewers = across(*(flock.play_flv(node.http, encoder.stream) for encoder in encoders))
            until_playing(flock, viewers)
            self.take_over(flock, node)
            came = {}

            def come():  # each as soon as it is asked
                for encoder in encoders:
                    if ASKED in encoder.codes and encoder not in came:
                        self.assertNotIn("tcUrl", encoder.session.infos[-1])
                        came[encoder] = publish_after(flock, encoder, node.rtmp)
                return len(came) == len(encoders)
            flock.until(come, 5, "asked")
            flock.until(lambda: all(again.is_running for again in came.values()), 10, "let in")
            flock.until(lambda: all(encoder.closed for encoder in encoders), 10, "old connections are ended for them")
            until_playing(flock, viewers, "viewers of the old process stay")
            for viewer in viewers:
                self.assert_clean(viewer)
                viewer.close()
            wait_left(flock, node)

    def test_pull_of_another_cluster_comes_to_the_new_process_and_its_viewers_notice_nothing(self):
        node = self.start_node(10)
        puller = self.cluster.make_node("origin", 11, pull__sources=[f"live/a={node.url('live/a')}"]).learn()
        def played(process):
            return [s for s in process.sessions() if (s["protocol"], s["kind"]) == ("rtmp", "play")]
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/a", small())
            viewer = flock.play_flv(puller.http, "live/a")
            until_playing(flock, [viewer])
            self.assertEqual(len(played(node)), 1)
            fresh = self.take_over(flock, node)
            flock.until(lambda: played(fresh), 10, "asked without tcUrl: the same address leads to the new process")
            until_playing(flock, [viewer], "the stream goes on", 40)
            self.assert_clean(viewer)
            metrics = puller.metrics()
            self.assertEqual(metrics.total("headwater_relay_pulls_total", result="switched"), 1)
            self.assertEqual(metrics.total("headwater_relay_pulls_total", result="lost"), 0)
            publisher.close()
            wait_left(flock, node)

    def test_who_had_connected_to_the_old_process_is_served_there(self):
        node = self.start_node(9)
        request = "GET %s HTTP/1.1\r\nHost: somebody\r\n\r\n"
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/a", small())
            flock.until(lambda: publisher.n_sent > 20, 10)
            early = flock.raw(node.http, (request % "/healthz").encode())
            flock.until(lambda: b"alive" in early.received, 10, "it is the old one's connection")
            self.take_over(flock, node)
            early.out += (request % "/live/a.flv").encode()
            early.send_now()
            flock.until(lambda: b"FLV" in early.received or early.closed, 10, "answered")
            self.assertIn(b"FLV", early.received)
            until_playing(flock, [flock.play_flv(node.http, "live/a")], "the new one serves, too")

    def test_a_new_process_that_fails_leaves_the_old_one_as_it_was(self):
        node = self.start_node(4)
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/a", small())
            viewer = flock.play_flv(node.http, "live/a")
            until_playing(flock, [viewer])
            for more in ({"cluster__node_id": "another"}, {"pull__sources": "nonsense"},
                         {"cluster__token_file": "/nonexistent"}):
                failed = replace(self.cluster, node, **more)
                failed.expect_death = True
                flock.until(lambda: not failed.is_alive(), 20, "it ends")
                self.assertNotEqual(failed.popen.returncode, 0)
                self.assertEqual(len(failed.tail().splitlines()), 1, failed.tail())
                self.assertEqual(harness.http_request(node.http, "/readyz")[0], 200)
                self.assertTrue(os.path.exists(node.sets["handover.socket"]))
            until_playing(flock, [viewer, flock.play_flv(node.http, "live/a")])
            self.assert_clean(viewer)
            self.assertFalse(publisher.closed)
            fresh = self.take_over(flock, node)  # and the next one succeeds
            second = replace(self.cluster, fresh)
            second.expect_death = True
            flock.until(lambda: not second.is_alive(), 20, "two at a time are refused")
            self.assertIn("one process replaces another there already", second.tail())

    def test_a_new_process_that_is_killed_before_it_serves_changes_nothing(self):
        node = self.start_node(5)
        with swarm.Swarm() as flock, socket.socket(socket.AF_UNIX) as link:
            publisher = flock.publish(node.rtmp, "live/a", small())
            flock.until(lambda: publisher.is_running, 10)
            link.connect(node.sets["handover.socket"])  # what a new process does, up to its end
            link.sendall(b"-take 1\n")
            flock.until(lambda: node.log_lines("has the listeners"), 5)
            link.close()
            flock.until(lambda: node.log_lines("this one goes on"), 5)
            self.assertEqual(harness.http_request(node.http, "/readyz")[0], 200)
            until_playing(flock, [flock.play_flv(node.http, "live/a")])

    def test_the_socket_is_for_its_user_and_goes_with_the_node(self):
        node = self.start_node(6)
        path = node.sets["handover.socket"]
        mode = os.stat(path).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        with swarm.Swarm() as flock:
            fresh = self.take_over(flock, node)
            wait_left(flock, node)
            self.assertTrue(os.path.exists(path), "it is the new process's now")
            fresh.signal(signal.SIGTERM)
            wait_left(flock, fresh)
        self.assertFalse(os.path.exists(path))

    def test_the_socket_stays_when_the_old_process_ends_before_the_new_one_serves(self):
        node = self.start_node(8)
        path = node.sets["handover.socket"]
        with swarm.Swarm() as flock, socket.socket(socket.AF_UNIX) as link:
            link.connect(path)
            link.sendall(b"-take 1\n")
            flock.until(lambda: node.log_lines("has the listeners"), 5)
            node.signal(signal.SIGTERM)
            wait_left(flock, node)
            self.assertTrue(os.path.exists(path), "the new process listens there, too")

    def test_replace_without_a_process_to_replace_is_one_clear_line(self):
        node = self.start_node(7)
        for path, words in (("", "handover.socket: not set"),
                            (os.path.join(self.cluster.folder, "nobody"), "no process listens there")):
            failed = replace(self.cluster, node, handover__socket=path)
            failed.expect_death = True
            failed.popen.wait(20)
            self.assertNotEqual(failed.popen.returncode, 0)
            self.assertEqual(len(failed.tail().splitlines()), 1, failed.tail())
            self.assertIn(words, failed.tail())


class _Both:
    """wait_left() with a herd that goes on."""

    def __init__(self, herd):
        self.until = herd.until


class ReplaceInClusterTest(harness.ClusterTest):
    """Schedulers, and edges that pull from the node."""

    cluster_args = {"origins": 1, "edges": 1, "node_set": {"drain_timeout_s": "60"}}

    def test_edges_keep_their_viewers_while_the_origin_is_replaced(self):
        edge = self.cluster.edges[0]
        path = os.path.join(self.cluster.folder, "handover")
        node = self.cluster.make_node("origin", 1, handover__socket=path)
        self.cluster.origins.append(node)
        node.learn()
        self.cluster.wait_settled()
        with swarm.Swarm() as flock:
            publisher = publish_with_reconnect(flock, node.rtmp, "live/a")
            viewers = across(flock.play_flv(edge.http, "live/a"), flock.play_rtmp(edge.rtmp, "live/a"))
            until_playing(flock, viewers)
            fresh = replace(self.cluster, node)
            flock.until(lambda: fresh.log_lines(" msg=ready") or not fresh.is_alive(), 20)
            self.assertTrue(fresh.is_alive(), fresh.tail())
            node.expect_death = True
            fresh.learn()
            flock.until(lambda: ASKED in publisher.codes, 5, "the encoder is asked")
            until_playing(flock, viewers, "meanwhile nothing changes")
            [new_viewer] = across(flock.play_flv(node.http, "live/a"))
            until_playing(flock, [new_viewer], "the new process has the stream, too")
            again = publish_after(flock, publisher, node.rtmp)
            flock.until(lambda: again.is_running, 10, "the encoder comes to the new process")
            publisher.ended = True
            until_playing(flock, [*viewers, new_viewer], "everybody sees what comes now")
            wait_left(flock, node, 20)
            until_playing(flock, viewers, "also when the old process is gone")
            self.assert_clean(*viewers, new_viewer)
            known = [n for n in harness.items(self.cluster.scheduler.http, "/api/v1/nodes") if n["id"] == node.id]
            self.assertIn("active", [n["state"] for n in known])


if __name__ == "__main__":
    harness.main()
