"""What operators tell by API: kept across kill -9 without a cluster, the same at every node within a second
with one, whoever dies. Bans close connections and end sessions."""

import concurrent.futures
import io
import json
import os
import socket
import tempfile
import time
import unittest

import harness
import media
import swarm
from test_replace import replace

JSON = {"Content-Type": "application/json"}
WITHIN_S = 1  # how soon a change is known everywhere
BACK_S = 15   # after the death of a program


def change(node, method, path, body=None):
    """Returns (status, answer)."""
    text = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
    status, _, answer = harness.http_request(node.admin, f"/api/v1/{path}", method=method, body=text, headers=JSON)
    return status, json.loads(answer) if answer else None


def put(node, path, body):
    status, answer = change(node, "POST", path, body)
    if status != 200:
        raise AssertionError(f"POST {path} {body}: {status} {answer}")
    return answer


def ids(node, path="bans"):
    return [item.get("id", item.get("name")) for item in harness.items(node.admin, f"/api/v1/{path}")]


def wait_ids(node, wanted, timeout_s=WITHIN_S, path="bans"):
    harness.wait_until(lambda: ids(node, path) == wanted, timeout_s,
                       lambda: f"{node.id}: {ids(node, path)}, not {wanted}")


class SingleTest(unittest.TestCase):
    """One node with a state file."""

    def setUp(self):
        self.cluster = harness.Cluster(origins=1, edges=0, schedulers=0)
        self.state = os.path.join(self.cluster.folder, "state.json")
        self.cluster.role_set["origin"].update({"state.file": self.state, "publish.duplicate_apps": ["wait=standby"]})
        self.cluster.__enter__()
        self.addCleanup(self.cluster.close)
        self.node = self.cluster.origins[0]

    def n_of(self, kind):
        return sum(session["kind"] == kind for session in self.node.sessions())

    def restart(self, kill=True):
        self.node.kill() if kill else self.node.stop()
        self.node.expect_death = True
        self.node = self.cluster.restart_node(self.node, same_ports=False)

    def accepts(self):
        with socket.create_connection(self.node.rtmp, 2) as sock:
            sock.settimeout(0.3)
            try:
                return sock.recv(1) != b""
            except TimeoutError:
                return True  # it waits for us

    def log(self):
        with open(self.node.log_path) as file:
            return file.read()

    def test_what_was_told_outlives_kill_9(self):
        group = {"name": "live/g", "renditions": ["live/a", "live/b"]}
        ban = put(self.node, "bans", {"net": "192.0.2.0/24", "reason": "noise"})
        self.assertRegex(ban["id"], "^[0-9a-f]{12}$")
        self.assertEqual({**ban, "id": ""}, {"id": "", "net": "192.0.2.0/24", "scope": "all", "app": "",
                                             "reason": "noise", "expires": 0})
        put(self.node, "bans", {"id": "gone", "net": "192.0.2.9"})
        self.assertEqual(put(self.node, "hls/groups", group), group)
        self.assertEqual(change(self.node, "DELETE", "bans/gone")[0], 204)
        self.restart()  # at once: what was answered is on the disk
        self.assertEqual(harness.items(self.node.admin, "/api/v1/bans"), [ban])
        self.assertEqual(harness.items(self.node.admin, "/api/v1/hls/groups"), [group])
        self.assertEqual(os.stat(self.state).st_mode & 0o777, 0o600)
        put(self.node, "bans", {**ban, "reason": "more noise"})
        self.restart(kill=False)
        self.assertEqual([item["reason"] for item in harness.items(self.node.admin, "/api/v1/bans")], ["more noise"])

    def test_kill_9_at_any_moment_leaves_a_whole_file(self):
        for round_ in range(5):
            told = [f"r{round_}-{i}" for i in range(20)]
            for name in told[:10]:
                put(self.node, "bans", {"id": name, "net": "192.0.2.1"})
            with socket.create_connection(self.node.admin) as sock:  # pipelined: it dies in the midst of them
                for name in told[10:]:
                    body = json.dumps({"id": name, "net": "192.0.2.1"})
                    sock.sendall((f"POST /api/v1/bans HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                                  f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
                self.restart()
            self.assertNotIn("broken", self.log())
            self.assertLessEqual(set(told[:10]), set(ids(self.node)))

    def test_broken_file_is_said_and_put_aside(self):
        put(self.node, "bans", {"id": "a", "net": "192.0.2.1"})
        self.node.kill()
        with open(self.state, "r+") as file:
            whole = file.read()
            file.truncate(len(whole) - 5)
        self.restart()
        self.assertEqual(ids(self.node), [])
        line = next(line for line in self.log().splitlines() if "state.file is broken" in line)
        self.assertRegex(line, r" error .*file=\S*state\.json reason=.*line \d+, column \d+")
        with open(self.state + ".broken") as file:
            self.assertEqual(file.read(), whole[:-5])
        put(self.node, "bans", {"id": "b", "net": "192.0.2.1"})
        self.restart()
        self.assertEqual(ids(self.node), ["b"])
        self.assertTrue(os.path.exists(self.state + ".broken"))

    def test_whatever_the_file_holds_the_node_starts(self):
        for content in (b"", b"\0" * 4096, os.urandom(1 << 20), b"[" * (1 << 20), b'{"v":1,"settings":[' + b"{}," * (1 << 20),
                        b'{"v":1,"settings":"' + b"x" * (32 << 20)):
            self.node.kill()
            with open(self.state, "wb") as file:
                file.write(content)
            self.restart()
            self.assertEqual(ids(self.node), [], content[:20])
            self.assertIn("state.file is broken", self.log(), content[:20])
            put(self.node, "bans", {"id": "a", "net": "192.0.2.1"})

    def test_a_folder_in_place_of_the_file_is_said_and_made_up_for(self):
        put(self.node, "bans", {"id": "a", "net": "192.0.2.1"})
        os.unlink(self.state)
        os.mkdir(self.state)
        status, answer = change(self.node, "POST", "bans", {"id": "b", "net": "192.0.2.1"})
        self.assertEqual((status, "in force, but not kept" in answer["detail"]), (503, True), answer)
        self.assertEqual(ids(self.node), ["a", "b"])
        node = harness.program("headwater-node", self.node.sets, self.cluster.folder, "other")
        self.assertNotEqual(node.popen.wait(20), 0)
        self.assertIn("state.file", node.log())
        self.assertIn("is not a file", node.log())
        os.rmdir(self.state)
        harness.wait_until(lambda: os.path.isfile(self.state), BACK_S, "it is written when it can be")
        self.restart()
        self.assertEqual(ids(self.node), ["a", "b"])

    def test_requests_that_are_wrong_change_nothing(self):
        ban = {"id": "a", "net": "192.0.2.1"}
        put(self.node, "bans", ban)
        for status, method, path, body, detail in (
                (400, "POST", "bans", "{", "body: line 1, column"),
                (400, "POST", "bans", "", "body: line"),
                (400, "POST", "bans", "[]", "body: expected an object"),
                (400, "POST", "bans", {}, "body: net: is missing"),
                (400, "POST", "bans", {**ban, "net": "192.0.2.0/33"}, "body: net: found"),
                (400, "POST", "bans", {**ban, "net": 7}, "body: net: found"),
                (400, "POST", "bans", {**ban, "scope": "some"}, "body: scope: found"),
                (400, "POST", "bans", {**ban, "color": "red"}, "body: color: unknown"),
                (400, "POST", "bans", {**ban, "expires": 1}, "body: expires: is in the past"),
                (400, "POST", "bans", {**ban, "id": "a b"}, "body: id: expected"),
                (400, "POST", "bans", '{"net":"192.0.2.1","net":"192.0.2.2"}', "duplicate"),
                (413, "POST", "bans", b"[" + b" " * (2 << 20) + b"]", ""),
                (404, "DELETE", "bans/b", None, "none of that id"),
                (404, "GET", "bans/b", None, "none of that id"),
                (405, "PUT", "bans/a", ban, ""),
                (400, "GET", "bans?limit=0", None, "limit"),
                (409, "POST", "hls/groups", {"name": "live/y", "renditions": ["live/x1"]}, "one group")):
            with self.subTest(method=method, path=path, body=str(body)[:60]):
                put(self.node, "hls/groups", {"name": "live/x", "renditions": ["live/x1"]})
                got, answer = change(self.node, method, path, body)
                self.assertEqual(got, status, answer)
                self.assertIn(detail, (answer or {}).get("detail", ""))
        status, _, _ = harness.http_request(self.node.admin, "/api/v1/bans", method="POST", body=json.dumps(ban))
        self.assertEqual(status, 415)
        self.assertEqual(ids(self.node), ["a"])

    def test_lists_come_in_pages(self):
        for i in range(7):
            put(self.node, "bans", {"id": f"b{i}", "net": "192.0.2.1"})
        page = harness.get_json(self.node.admin, "/api/v1/bans?limit=3&after=b1")
        self.assertEqual(([item["id"] for item in page["items"]], page["next"]), (["b2", "b3", "b4"], "b4"))
        page = harness.get_json(self.node.admin, "/api/v1/bans?limit=3&after=b3")
        self.assertEqual(([item["id"] for item in page["items"]], page["next"]), (["b4", "b5", "b6"], None))

    def test_ban_closes_connections_and_ends_sessions_until_it_expires(self):
        with swarm.Swarm() as flock:
            publisher = flock.publish(self.node.rtmp, "live/a", swarm.Clip(media.clip("small")))
            viewer = flock.play_flv(self.node.http, "live/a")
            flock.until(lambda: viewer.log.n_frames > 30, 20, "it plays")
            put(self.node, "bans", {"id": "play", "net": "127.0.0.1", "scope": "play", "app": "live"})
            flock.until(lambda: viewer.closed, WITHIN_S, "the viewer's session is ended")
            self.assertFalse(publisher.closed)
            expires = int(time.time()) + 3
            put(self.node, "bans", {"id": "all", "net": "127.0.0.0/8", "expires": expires})
            flock.until(lambda: publisher.closed, WITHIN_S, "the publisher's session is ended")
        with socket.create_connection(self.node.rtmp, 2) as sock:
            self.assertEqual(sock.recv(1), b"")
        harness.wait_until(lambda: ids(self.node) == ["play"], 6, "it expires")
        self.assertGreaterEqual(time.time(), expires)
        harness.wait_until(self.accepts, WITHIN_S, "connections are taken again")
        metrics = harness.Metrics(harness.http_request(self.node.admin, "/metrics")[2].decode())
        self.assertGreaterEqual(metrics.total("headwater_connections_refused_total", reason="ban"), 1)
        self.assertEqual(metrics.total("headwater_bans"), 1)
        self.restart()
        self.assertEqual(ids(self.node), ["play"])

    def test_ban_ends_who_waits_for_a_stream_or_for_its_turn(self):
        with swarm.Swarm() as flock:
            waiting = flock.play_flv(self.node.http, "wait/none")
            first = flock.publish(self.node.rtmp, "wait/a", swarm.Clip(media.clip("small")))
            flock.until(lambda: self.n_of("publish") == 1, 20, "it is published")
            second = flock.publish(self.node.rtmp, "wait/a", swarm.Clip(media.clip("small")))
            flock.until(lambda: self.n_of("standby") == self.n_of("waiting") == 1, 20, "one stands by, one waits")
            put(self.node, "bans", {"id": "play", "net": "127.0.0.1", "scope": "play", "app": "wait"})
            flock.until(lambda: waiting.closed, WITHIN_S, "who waits is sent away")
            self.assertFalse(first.closed or second.closed)
            put(self.node, "bans", {"id": "publish", "net": "127.0.0.1", "scope": "publish", "app": "wait"})
            flock.until(lambda: first.closed and second.closed, WITHIN_S, "both publishers are ended")


class ReplaceTest(unittest.TestCase):
    """--replace: two processes and one file."""

    def test_nothing_that_was_answered_is_lost_between_two_processes(self):
        cluster = harness.Cluster(origins=1, edges=0, schedulers=0)
        state = os.path.join(cluster.folder, "state.json")
        cluster.role_set["origin"].update({"state.file": state, "handover.socket": os.path.join(cluster.folder, "hw"),
                                           "drain_timeout_s": "60"})
        cluster.__enter__()
        self.addCleanup(cluster.close)
        old = cluster.origins[0]
        told = [put(old, "bans", {"net": "192.0.2.1"})["id"] for _ in range(3)]
        fresh = replace(cluster, old)
        while not old.log_lines("msg=draining"):  # to whichever of them takes it
            try:
                told.append(put(old, "bans", {"net": "192.0.2.1"})["id"])
            except OSError:  # who drains closes its connections
                continue
        old.expect_death = True
        fresh.learn()
        for _ in range(3):
            told.append(put(fresh, "bans", {"net": "192.0.2.1"})["id"])
        harness.wait_until(lambda: set(told) <= set(ids(fresh)), WITHIN_S, "the new process has all of them")
        harness.wait_until(lambda: not old.is_alive(), BACK_S)
        fresh.kill()
        fresh = cluster.restart_node(fresh)
        self.assertLessEqual(set(told), set(ids(fresh)))
        self.assertEqual([name for name in os.listdir(cluster.folder) if name.startswith("state.json")], ["state.json"])


class NotKeptTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0}

    def test_node_without_a_file_says_that_it_forgets(self):
        node = self.cluster.origins[0]
        put(node, "bans", {"id": "a", "net": "192.0.2.1"})
        with open(node.log_path) as file:
            self.assertRegex(file.read(), " warn .*what is told here is lost with this process")


class ClusterSettings(unittest.TestCase):
    """Two nodes, and what they have in common."""

    store, n_schedulers = "redis", 2

    def setUp(self):
        self.cluster = harness.Cluster(origins=1, edges=1, schedulers=self.n_schedulers, store=self.store)
        self.cluster.role_set["origin"]["state.file"] = os.path.join(self.cluster.folder, "origin.json")
        self.cluster.__enter__()
        self.addCleanup(self.cluster.close)
        self.origin, self.edge = self.cluster.origins[0], self.cluster.edges[0]

    def is_connected(self, node):
        return json.loads(harness.http_request(node.admin, "/readyz")[2])["cluster"] == "connected"

    def is_kept(self, id_):
        path = self.origin.sets["state.file"]
        with open(path) if os.path.exists(path) else io.StringIO() as file:
            return f'"id":"{id_}"' in file.read()

    def restart_edge(self):
        self.edge.kill()
        self.edge = self.cluster.restart_node(self.edge)

    def revive_scheduler(self, index):
        """Kills it; what is returned starts another one at its address."""
        old = self.cluster.schedulers[index]
        old.kill()
        return lambda: self.cluster.start_scheduler(index, old.http[1])


class RedisTest(ClusterSettings):
    def schedulers_apart(self):
        """Each node at a scheduler of its own: the edge's list begins with the other one."""
        self.edge.sets["cluster.schedulers"] = list(reversed(self.edge.sets["cluster.schedulers"]))
        self.restart_edge()
        harness.wait_until(lambda: self.is_connected(self.edge), BACK_S)

    def test_change_is_known_everywhere_within_a_second(self):
        self.schedulers_apart()
        for i in range(5):
            put(self.origin, "bans", {"id": f"o{i}", "net": "192.0.2.1"})
            wait_ids(self.edge, [f"o{k}" for k in range(i + 1)])
        put(self.edge, "hls/groups", {"name": "live/g", "renditions": ["live/a"]})
        wait_ids(self.origin, ["live/g"], path="hls/groups")
        put(self.edge, "bans", {"id": "o0", "net": "192.0.2.7"})
        harness.wait_until(lambda: change(self.origin, "GET", "bans/o0")[1]["net"] == "192.0.2.7", WITHIN_S)
        for i in range(5):
            self.assertEqual(change(self.edge, "DELETE", f"bans/o{i}")[0], 204)
            wait_ids(self.origin, [f"o{k}" for k in range(i + 1, 5)])

    def test_ban_told_at_one_node_ends_sessions_at_another(self):
        self.schedulers_apart()
        with swarm.Swarm() as flock:
            publisher = flock.publish(self.origin.rtmp, "live/a", swarm.Clip(media.clip("small")))
            viewer = flock.play_flv(self.edge.http, "live/a")
            flock.until(lambda: viewer.log.n_frames > 30, 20, "it plays")
            put(self.origin, "bans", {"net": "::ffff:127.0.0.1", "scope": "play"})
            flock.until(lambda: viewer.closed, WITHIN_S, "the viewer's session is ended")
            self.assertFalse(publisher.closed)

    def test_item_expires_at_every_node(self):
        expires = int(time.time()) + 3
        put(self.origin, "bans", {"id": "a", "net": "192.0.2.1", "expires": expires})
        wait_ids(self.edge, ["a"])
        for node in self.cluster.nodes:
            wait_ids(node, [], 6)
            self.assertGreaterEqual(time.time(), expires)
        self.edge.kill()
        self.edge = self.cluster.restart_node(self.edge)
        harness.wait_until(lambda: self.is_connected(self.edge), BACK_S)
        put(self.origin, "bans", {"id": "b", "net": "192.0.2.1"})
        wait_ids(self.edge, ["b"])

    def test_node_that_was_away_has_what_changed_without_it(self):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:  # more than one answer
            list(pool.map(lambda i: put(self.origin, "bans", {"id": f"b{i:03}", "net": f"192.0.2.{i % 256}"}),
                          range(600)))
        told = [f"b{i:03}" for i in range(600)]
        wait_ids(self.edge, told)
        self.edge.kill()
        self.assertEqual(change(self.origin, "DELETE", "bans/b000")[0], 204)
        self.restart_edge()
        wait_ids(self.edge, told[1:], BACK_S)

    def test_emptied_redis_gets_everything_again(self):
        put(self.origin, "bans", {"id": "a", "net": "192.0.2.1"})
        put(self.edge, "bans", {"id": "b", "net": "192.0.2.1"})
        self.assertEqual(change(self.edge, "DELETE", "bans/b")[0], 204)
        self.cluster.redis.command("FLUSHALL")
        harness.wait_until(lambda: b'"a"' in self.cluster.redis.command("HGETALL", "hw:set:bans")
                           and b'"b"' in self.cluster.redis.command("HGETALL", "hw:set:bans"), BACK_S,
                           "it is there again")
        for index in range(2):  # and with new schedulers, that know nothing of their own
            self.revive_scheduler(index)()
        self.cluster.redis.command("FLUSHALL")
        harness.wait_until(lambda: b'"a"' in self.cluster.redis.command("HGETALL", "hw:set:bans"), BACK_S, "and again")
        self.assertEqual((ids(self.origin), ids(self.edge)), (["a"], ["a"]))

    def test_what_is_told_while_redis_is_away_is_shared_when_it_is_back(self):
        self.schedulers_apart()
        self.cluster.redis.process.kill()
        put(self.origin, "bans", {"id": "a", "net": "192.0.2.1"})
        self.assertEqual(ids(self.origin), ["a"])
        self.cluster.redis.start()
        wait_ids(self.edge, ["a"], BACK_S)

    def test_schedulers_of_one_redis_learn_from_it_at_start(self):
        put(self.origin, "bans", {"id": "a", "net": "192.0.2.1"})
        for node in self.cluster.nodes:
            node.kill()
        for index in range(2):
            self.revive_scheduler(index)()
        self.restart_edge()
        wait_ids(self.edge, ["a"], BACK_S)


class MemoryTest(ClusterSettings):
    store, n_schedulers = "memory", 1

    def test_node_without_scheduler_begins_with_the_last_known_and_tells_later(self):
        put(self.edge, "bans", {"id": "a", "net": "192.0.2.1"})
        put(self.edge, "bans", {"id": "b", "net": "192.0.2.1"})
        wait_ids(self.origin, ["a", "b"])
        harness.wait_until(lambda: self.is_kept("b"), WITHIN_S)
        revive = self.revive_scheduler(0)
        self.origin.kill()
        self.origin = self.cluster.restart_node(self.origin)
        self.assertEqual(ids(self.origin), ["a", "b"])
        self.assertEqual(change(self.origin, "DELETE", "bans/a")[0], 204)
        put(self.edge, "bans", {"id": "c", "net": "192.0.2.1"})
        revive()  # one that knows nothing
        wait_ids(self.origin, ["b", "c"], BACK_S)
        wait_ids(self.edge, ["b", "c"], BACK_S)
        self.restart_edge()
        wait_ids(self.edge, ["b", "c"], BACK_S)


class SchedulerTest(harness.ClusterTest):
    """What a scheduler answers to nodes, asked by hand."""

    cluster_args = {"origins": 0, "edges": 0}

    def ask(self, method="GET", query="", body=None, headers=None):
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        status, _, answer = harness.http_request(self.cluster.schedulers[0].http, "/v1/settings" + query, method=method,
                                                 body=text, headers=JSON if headers is None else headers)
        return status, json.loads(answer)

    def tell(self, *settings):
        status, answer = self.ask("POST", body={"v": 1, "settings": settings})
        self.assertEqual(status, 200, answer)
        return answer

    def setting(self, id_, version, item=None, origin="n1"):
        version = str(int(time.time() * 1e6) + version)
        return {"kind": "lamps", "id": id_, "version": version, "origin": origin, **({"item": item} if item else {})}

    def since(self, answer, run=None):
        return self.ask(query=f"?run={run or answer['run']}&since={answer['seq']}")[1]

    def test_changes_come_in_their_order_from_any_place(self):
        a, b = self.setting("a", 0, {"hue": 1}), self.setting("b", 0, {"hue": 2})
        first = self.tell(a)
        second = self.tell(b, a)  # a is no news
        self.assertEqual(self.since(first)["settings"], [b])
        self.assertEqual(self.since(second).get("settings", []), [])
        gone = self.setting("a", 9)
        third = self.tell(gone)
        self.assertEqual(self.since(first)["settings"], [b, gone])
        self.assertEqual(self.since(third, run="1")["settings"][-2:], [b, gone])  # another run: everything
        self.tell(a)  # older than its removal
        self.assertEqual(self.since(third).get("settings", []), [])
        self.tell({**b, "origin": "n0", "item": {"hue": 3}}, {**b, "origin": "n2", "item": {"hue": 4}})
        self.assertEqual([s["item"] for s in self.since(third)["settings"]], [{"hue": 4}])

    def test_what_has_ended_already_ends_what_was_there(self):
        """By this clock; that of who told it may be another one."""
        month = 31 * 86400 * 10**6
        first = self.tell(self.setting("c", 0, {"hue": 1}), self.setting("d", -2 * month, {"hue": 1}))
        over = self.setting("c", 1, {"hue": 1, "expires": int(time.time()) - 100})
        removed = self.setting("d", -month)
        self.tell(over, removed)
        self.assertEqual(self.since(first)["settings"], [over, removed])
        last = self.tell(self.setting("c", -9 * 10**6, {"hue": 1}))  # of a node that was away
        self.assertEqual(self.since(last).get("settings", []), [])
        fresh = self.tell({**self.setting("e", 0, {"hue": 1, "expires": int(time.time()) - 1}), "origin": "n2"})
        self.tell(self.setting("e", -9 * 10**6, {"hue": 1}))
        self.assertEqual(self.since(fresh).get("settings", []), [])

    def test_long_list_comes_in_parts(self):
        start = self.tell()
        for _ in range(2):
            self.tell(*[self.setting(f"p{i:03}", 0, {"text": "x" * 9000}) for i in range(300)])
        at, got = start, []
        while True:
            at = self.since(at)
            self.assertLessEqual(len(at["settings"]), 250)
            got += [setting["id"] for setting in at["settings"]]
            if not at.get("more"):
                break
        self.assertEqual(got, [f"p{i:03}" for i in range(300)])

    def test_messages_that_are_wrong_change_nothing(self):
        before = self.tell()
        good = self.setting("x", 0, {"hue": 1})
        for body, detail in (("{", "line 1"), ({"settings": []}, "v: expected"),
                             ({"v": 1, "settings": {}}, "settings: expected"),
                             ({"v": 1, "settings": [good, {**good, "kind": "No"}]}, "settings[1].kind"),
                             ({"v": 1, "settings": [{**good, "version": 7}]}, "settings[0].version"),
                             ({"v": 1, "settings": [{**good, "item": [1]}]}, "settings[0].item")):
            status, answer = self.ask("POST", body=body)
            self.assertEqual((status, detail in answer["detail"]), (400, True), answer)
        big = {"v": 1, "settings": [{**good, "item": {"x": "x" * 17000}}]}
        self.assertEqual(self.ask("POST", body=big)[0], 413)
        self.assertEqual(self.ask("POST", body={"v": 1}, headers={})[0], 415)
        self.assertEqual(self.ask(headers={"Origin": "http://evil.example"})[0], 401)
        self.assertEqual(self.ask("POST", body={"v": 1}, headers={**JSON, "Origin": "http://evil.example"})[0], 401)
        self.assertEqual(self.tell()["seq"], before["seq"])


class HostileTest(harness.ClusterTest):
    """Items that no node of this release would tell: they do no harm, and others stay in force."""

    cluster_args = {"origins": 1, "edges": 1}

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.cluster_args = {**cls.cluster_args, "node_set": {"record.dir": folder.name}}
        super().setUpClass()

    def test_items_that_no_owner_would_take_are_not_in_force(self):
        bad = {"bans": [{"net": "everybody"}, {"net": 7}, {}, {"net": "192.0.2.1", "x": {"y": []}}, {"net": "\u0001"}],
               "stream-keys": [{"stream": "*", "hash": "0"}, {"stream": "live/x", "hash": ["a"]},
                               {"stream": "live/x", "actions": ["all"], "hash": "0" * 64}],
               "relays/pulls": [{"stream": "live/x", "urls": ["http://169.254.169.254/live/x.flv"]},
                                {"stream": "live/y", "urls": ["rtmp://192.0.2.1/live/y"]}, {"stream": "live/x", "urls": []},
                                {"stream": "live/x", "urls": ["file:///etc/passwd"]}, {"stream": 1}],
               "relays/pushes": [{"stream": "live/x", "url": "rtmp://127.0.0.1/live/x"}, {"url": {}}],
               "records/rules": [{"streams": "a*b", "formats": ["flv"]}, {"streams": "*", "formats": ["exe"]},
                                 {"streams": [], "formats": "flv"}, {"streams": "*", "split_s": -1}],
               "hls/groups": [{"name": "live/other", "renditions": ["live/a"]}, {"name": "live/x", "renditions": ["live/x"]},
                              {"name": "live/x", "renditions": ["../x"]}, {"renditions": 1}],
               "lamps/of-tomorrow": [{"hue": 1}]}
        ids_ = ("live/x", "x", "../../x", "live/x/y/z", " ", "\u00e4", "%s%n", "x" * 250)
        version = int(time.time() * 1e6)
        settings = [{"kind": kind, "id": id_, "version": str(version + i), "origin": "n9", "item": item}
                    for kind, items in bad.items() for i, item in enumerate(items) for id_ in ids_]
        settings += [{"kind": "bans", "id": "top", "version": str(1 << 53), "origin": "n9", "item": {"net": "192.0.2.3"}},
                     {"kind": "bans", "id": "good", "version": str(version), "origin": "n9", "item": {"net": "192.0.2.2"}}]
        status, _, text = harness.http_request(self.cluster.schedulers[0].http, "/v1/settings", method="POST",
                                               body=json.dumps({"v": 1, "settings": settings}), headers=JSON)
        self.assertEqual(status, 200, text)
        for node in self.cluster.nodes:
            harness.wait_until(lambda: {"good", "top"} <= set(ids(node)), BACK_S)
            for path in bad:
                status, _, text = harness.http_request(node.admin, f"/api/v1/{path}?limit=1000")
                self.assertEqual(status, 404 if "tomorrow" in path else 200, text)
            harness.wait_until(lambda: node.metrics().total("headwater_bans") == 2, BACK_S)
            self.assertEqual([s for s in node.streams() if s["name"] == "live/x"], [])
            self.assertFalse(harness.items(node.admin, "/api/v1/records/running"))
            self.assertEqual(len(node.log_lines('"kept, but not in force" kind=bans id=x ')), 1)
        origin, edge = self.cluster.nodes
        self.assertEqual(change(origin, "DELETE", "bans/top")[0], 409)
        put(origin, "bans", {"id": "mine", "net": "192.0.2.4"})
        harness.wait_until(lambda: "mine" in ids(edge), BACK_S)
        self.assertEqual(change(edge, "DELETE", "bans/x")[0], 204)  # what is not in force can be removed
        harness.wait_until(lambda: "x" not in ids(origin), BACK_S)


del ClusterSettings

if __name__ == "__main__":
    harness.main()
