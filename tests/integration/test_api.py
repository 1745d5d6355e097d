"""The admin API of a node: who may do what, and what the calls do."""

import http.client
import json
import os
import select
import socket
import subprocess
import threading
import time
import unittest

import harness
import media
import outputs

SECRETS = {"eye": "read", "hand": "operate", "boss": "admin"}
FOREIGN = {"Host": "node.example"}  # not this machine: a token is asked for
JSON = {"Content-Type": "application/json"}


def secret(name):
    return f"{name}-secret-{name}-0123456789"


def write_tokens(path, names, mode=0o600):
    with open(os.open(f"{path}.new", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "w") as file:
        file.write("# name scope secret\n\n")
        file.writelines(f"{name} {SECRETS[name]} {secret(name)}\n" for name in names)
    os.chmod(f"{path}.new", mode)
    os.replace(f"{path}.new", path)


def bearer(name):
    return {**FOREIGN, "Authorization": f"Bearer {secret(name)}"}


class TokensTest(harness.ClusterTest):
    """A node with tokens."""

    cluster_args = dict(schedulers=0, origins=0, edges=0)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tokens = os.path.join(cls.cluster.folder, "tokens")
        write_tokens(cls.tokens, SECRETS)
        cls.node = cls.cluster.make_node("origin", 0, admin__tokens_file=cls.tokens,
                                         cluster__token_file=cls.cluster.token_path).learn()
        cls.cluster.origins.append(cls.node)

    def ask(self, path, method="GET", headers=None, body=None):
        """(status, headers, parsed body) of a request from this machine, or with these headers."""
        change = JSON if method in ("PUT", "POST", "DELETE") else {}
        status, fields, text = harness.http_request(self.node.admin, path, method, {**change, **(headers or {})},
                                                    json.dumps(body) if isinstance(body, (dict, list)) else body)
        is_json = "json" in fields.get("content-type", "")
        return status, fields, json.loads(text) if is_json and text else text

    def play(self, stream, forms):
        publisher = media.publish(media.clip("small"), self.node.url(stream), self.cluster.folder, loop=True)
        self.addCleanup(publisher.kill)
        players = [outputs.Player(self.node.http, stream, form) for form in forms]
        for player in players:
            self.addCleanup(player.stop)
            harness.wait_until(lambda: player.has(20000), 15, player.name)
        return publisher, players

    def of(self, query):
        return self.ask(f"/api/v1/sessions?{query}")[2]["items"]


class ApiTest(TokensTest):
    # --- who may do what ---

    def test_scopes_are_what_a_token_may_do(self):
        rows = [("GET", "/api/v1/streams", "read"), ("GET", "/metrics", "read"), ("HEAD", "/api/v1/node", "read"),
                ("GET", "/api/v1/limits", "read"), ("DELETE", "/api/v1/streams/live/none", "operate"),
                ("DELETE", "/api/v1/sessions?stream=live/none", "operate"), ("GET", "/api/v1/config", "admin"),
                ("PUT", "/api/v1/limits", "admin"), ("DELETE", "/api/v1/nodes/x/drain", "admin")]
        order = ["read", "operate", "admin"]
        for method, path, needed in rows:
            for name, scope in SECRETS.items():
                status, fields, answer = self.ask(path, method, bearer(name), {} if method == "PUT" else None)
                where = f"{method} {path} as {scope}"
                if order.index(scope) >= order.index(needed):
                    self.assertIn(status, (200, 204, 404), where)
                else:
                    self.assertEqual(status, 403, where)
                    self.assertIn(f'scope="{needed}"', fields["www-authenticate"], where)
                    self.assertIn(needed, answer["detail"])

    def test_no_token_is_asked_for_one(self):
        status, fields, answer = self.ask("/api/v1/node", headers=FOREIGN)
        self.assertEqual((status, fields["www-authenticate"]), (401, "Bearer"))
        self.assertEqual(answer["status"], 401)
        for path in ("/healthz", "/readyz", "/api/v1/openapi.json"):
            self.assertEqual(self.ask(path, headers=FOREIGN)[0], 200, path)

    def test_node_token_may_do_everything(self):
        headers = {**FOREIGN, "Authorization": f"Bearer {harness.TOKEN}"}
        self.assertEqual(self.ask("/api/v1/config", headers=headers)[0], 200)
        self.assertEqual(self.ask("/api/v1/limits", "PUT", headers, {})[0], 200)

    def test_tokens_are_read_again_at_sighup(self):
        write_tokens(self.tokens, ["eye"])
        start = self.node.log_size()
        self.node.signal(1)
        self.node.wait_log("configuration reloaded", start=start)
        self.assertEqual(self.ask("/api/v1/config", headers=bearer("boss"))[0], 401)  # after a moment
        self.assertEqual(self.ask("/api/v1/node", headers=bearer("eye"))[0], 200)
        write_tokens(self.tokens, SECRETS, mode=0o644)  # others may read it: what was stays
        start = self.node.log_size()
        self.node.signal(1)
        self.assertIn("0600", self.node.wait_log("the tokens stay as they were", start=start))
        self.assertEqual(self.ask("/api/v1/node", headers=bearer("eye"))[0], 200)
        write_tokens(self.tokens, SECRETS)
        start = self.node.log_size()
        self.node.signal(1)
        self.node.wait_log("configuration reloaded", start=start)
        self.assertEqual(self.ask("/api/v1/config", headers=bearer("boss"))[0], 200)

    def test_changes_are_audited_and_no_secret_is_logged(self):
        start = self.node.log_size()
        self.ask("/api/v1/streams/live/none", "DELETE", bearer("hand"))
        self.ask("/api/v1/limits", "PUT", bearer("hand"), {})
        self.ask("/api/v1/limits", "PUT", None, {})
        self.ask("/api/v1/streams")
        lines = harness.wait_until(lambda: len(found := self.node.log_lines(" audit ", start)) >= 3 and found)
        self.assertEqual(len(lines), 3)
        for line, fields in zip(lines, ("who=hand method=DELETE path=/api/v1/streams/live/none status=404",
                                        "who=hand method=PUT path=/api/v1/limits status=403",
                                        "who=loopback method=PUT path=/api/v1/limits status=200")):
            for field in fields.split():
                self.assertIn(field, line)
            self.assertIn("peer=127.0.0.1:", line)
        log = self.node.log()
        for name in SECRETS:
            self.assertNotIn(secret(name), log)

    # --- the forms of requests ---

    def test_unknown_paths_are_404(self):
        """Another server answered them with 200."""
        for path in ("/api/v1/nothing", "/api/v1", "/api/", "/api/stat/nothing"):
            status, fields, answer = self.ask(path)
            self.assertEqual(status, 404, path)
            self.assertEqual(fields["content-type"], "application/problem+json")
            self.assertEqual(set(answer), {"status", "title", "detail"})

    def test_wrong_methods_are_told_the_right_ones(self):
        for path, method, allowed in (("/api/v1/streams", "PUT", "GET, HEAD, OPTIONS"),
                                      ("/api/v1/sessions/x", "POST", "GET, HEAD, DELETE, OPTIONS"),
                                      ("/api/v1/limits", "DELETE", "GET, HEAD, PUT, OPTIONS")):
            status, fields, _ = self.ask(path, method)
            self.assertEqual((status, set(fields["allow"].split(", "))), (405, set(allowed.split(", "))), path)

    def test_unknown_arguments_are_named(self):
        for path, name in (("/api/v1/streams?limits=1", "limits"), ("/api/v1/sessions?stream=a/b&knd=play", "knd"),
                           ("/api/v1/node?x", "x"), ("/api/v1/limits?%78%79=1", "xy"), ("/healthz?a=1", "a")):
            status, _, answer = self.ask(path)
            self.assertEqual(status, 400, path)
            self.assertTrue(answer["detail"].startswith(f"{name}:"), answer)

    def test_bodies_are_looked_at(self):
        cases = (("{", 400, "line 1"), ("[]", 400, "object"), ("", 400, "line"), ('{"viewers": -1}', 400, "viewers"),
                 ('{"viewers": "1"}', 400, "viewers"), ('{"viewrs": 1}', 400, "viewrs"),
                 ('{"viewers": 1, "viewers": 2}', 400, "duplicate"), (" " * (1 << 20) + "{}", 413, ""))
        for body, wanted, said in cases:
            status, _, answer = self.ask("/api/v1/limits", "PUT", None, body)
            self.assertEqual(status, wanted, body[:40])
            self.assertIn(said, answer["detail"])
        status, _, _ = self.ask("/api/v1/limits", "PUT", {"Content-Type": "text/plain"}, "{}")
        self.assertEqual(status, 415)

    def test_head_gives_the_head_alone(self):
        url = "http://%s:%d/api/v1/limits" % self.node.admin  # the same, asked twice
        head, get = (subprocess.run([harness.tool("curl"), *flags, url], capture_output=True, text=True, check=True,
                                    timeout=10).stdout for flags in (("-sI",), ("-si",)))
        self.assertIn("200 OK", head)
        length = next(line for line in head.splitlines() if line.startswith("Content-Length"))
        self.assertIn(length, get)
        self.assertTrue(head.endswith("\n\n"))

    # --- what the calls do ---

    def test_sessions_are_filtered_and_paged(self):
        self.play("live/filtered", ("flv", "ts", "ts"))
        every = self.of("stream=live/filtered")
        self.assertEqual(sorted(s["protocol"] for s in every), ["flv", "rtmp", "ts", "ts"])
        self.assertEqual({s["protocol"] for s in self.of("stream=live/filtered&kind=play")}, {"flv", "ts"})
        self.assertEqual(len(self.of("stream=live/filtered&protocol=ts")), 2)
        self.assertEqual(len(self.of("stream=live/filtered&client=127.0.0.0/8")), 4)
        self.assertEqual(self.of("stream=live/filtered&client=10.0.0.0/8"), [])
        self.assertEqual(len(self.of("stream=live/filtered&min_lag_ms=0")), 4)
        self.assertEqual(self.of("stream=live/filtered&min_lag_ms=600000"), [])
        paged = harness.items(self.node.admin, "/api/v1/sessions?stream=live/filtered&limit=1")
        self.assertEqual([s["id"] for s in paged], sorted(s["id"] for s in every))
        for query in ("client=10.0.0.0/33", "min_lag_ms=x", "limit=0", "stream=" + "x" * 500):
            self.assertEqual(self.ask(f"/api/v1/sessions?{query}")[0], 400, query)

    def test_viewers_of_a_stream_are_ended_and_its_publisher_stays(self):
        publisher, players = self.play("live/kicked", ("flv", "ts", "mp4"))
        status, _, answer = self.ask("/api/v1/sessions?stream=live/kicked&kind=play", "DELETE")
        self.assertEqual((status, answer), (200, {"closed": 3}))
        for player in players:
            player.end()
        self.assertTrue(publisher.is_alive())
        self.assertEqual([s["kind"] for s in self.of("stream=live/kicked")], ["publish"])
        status, _, answer = self.ask("/api/v1/sessions", "DELETE")
        self.assertEqual(status, 400)
        self.assertEqual(self.ask("/api/v1/sessions?stream=live/none", "DELETE")[2], {"closed": 0})

    def test_one_session_is_ended_and_the_whole_stream(self):
        _, players = self.play("live/ended", ("flv", "ts"))
        flv = self.of("stream=live/ended&protocol=flv")[0]["id"]
        self.assertEqual(self.ask(f"/api/v1/sessions/{flv}", "DELETE")[0], 204)
        players[0].end()
        self.assertEqual(self.ask(f"/api/v1/sessions/{flv}", "DELETE")[0], 404)
        self.assertTrue(players[1].is_alive())
        self.assertEqual(self.ask("/api/v1/streams/live/ended", "DELETE")[0], 204)
        players[1].end()
        harness.wait_until(lambda: not self.of("stream=live/ended"), 10, "nobody is left")
        self.assertEqual(self.ask("/api/v1/streams/live/ended")[0], 404)

    def test_limits_are_changed_while_it_runs(self):
        before = self.ask("/api/v1/limits")[2]["values"]
        self.play("live/limited", ("flv",))
        status, _, answer = self.ask("/api/v1/limits", "PUT", None, {"viewers": 1})
        self.assertEqual((status, answer["values"]), (200, {**before, "viewers": 1}))
        self.assertIn("SIGHUP", answer["kept_until"])
        self.assertEqual(harness.http_request(self.node.http, "/live/limited.flv")[0], 503)
        self.assertEqual(self.ask("/api/v1/config")[2]["limits.viewers"], 1)
        status, _, answer = self.ask("/api/v1/limits", "PUT", None, {"http_head_ms": 1000})  # needs a restart
        self.assertEqual(status, 400)
        self.assertEqual(self.ask("/api/v1/limits", "PUT", None, before)[2]["values"], before)

    def test_log_level_is_changed_while_it_runs(self):
        def has_debug(start):
            self.play(f"live/log{start}", ())
            harness.wait_until(lambda: self.of(f"stream=live/log{start}"), 10, "it is published")
            return bool(self.node.log_lines(" debug ", start))
        self.assertEqual(self.ask("/api/v1/log/level", "PUT", None, {"level": "error"})[0], 200)
        start = self.node.log_size()
        self.ask("/api/v1/streams/live/none", "DELETE")
        self.assertEqual(self.node.log_size(), start)
        status, _, answer = self.ask("/api/v1/log/level", "PUT", None, {"level": "info"})
        self.assertEqual((status, answer["values"]), (200, {"level": "info"}))
        self.ask("/api/v1/streams/live/none", "DELETE")
        self.assertGreater(self.node.log_size(), start)
        self.assertEqual(self.ask("/api/v1/log/level", "PUT", None, {"level": "loud"})[0], 400)
        self.assertEqual(self.ask("/api/v1/log/level")[2]["values"]["level"], "info")

    def test_drain_is_ordered_and_taken_back(self):
        self.play("live/drained", ("flv",))
        path = f"/api/v1/nodes/{self.node.id}/drain"
        self.assertEqual(self.ask("/api/v1/limits", "PUT", None, {})[0], 200)
        self.assertEqual(self.ask(path, "POST")[2]["state"], "draining")
        self.assertEqual(self.ask("/readyz")[0], 503)
        self.assertEqual(self.ask(path, "DELETE")[2]["state"], "active")
        self.assertEqual(self.ask("/readyz")[0], 200)


class GuessTest(TokensTest):
    """Wrong tokens. Each test asks from an address of its own: what one has guessed counts."""

    def guess(self, source, token="guess"):
        """(status, seconds) of a request from 127.0.0.<source>."""
        start = time.monotonic()
        conn = http.client.HTTPConnection(*self.node.admin, timeout=30, source_address=(f"127.0.0.{source}", 0))
        self.addCleanup(conn.close)
        conn.request("GET", "/api/v1/node", headers={**FOREIGN, "Authorization": f"Bearer {token}"})
        return conn.getresponse().status, time.monotonic() - start

    def test_wrong_tokens_wait_longer_each_time_and_right_ones_do_not(self):
        waits = []
        for _ in range(4):
            status, seconds = self.guess(2)
            self.assertEqual(status, 401)
            waits.append(seconds)
        for before, after in zip(waits, waits[1:]):
            self.assertGreater(after, before * 1.3, waits)
        held = threading.Thread(target=self.guess, args=(2,))
        held.start()
        harness.wait_until(lambda: len(self.node.log_lines("peer=127.0.0.2:")) == 5, 5, "the fifth is held back")
        status, seconds = self.guess(2, secret("eye"))
        self.assertEqual(status, 200)
        self.assertLess(seconds, 1)
        status, seconds = self.guess(3)
        self.assertEqual(status, 401)
        self.assertLess(seconds, 1, "another address begins at the beginning")
        self.assertTrue(held.is_alive(), "the wrong one still waits")
        held.join()

    def test_a_flood_of_wrong_tokens_is_refused_and_others_are_served(self):
        request = b"GET /api/v1/node HTTP/1.1\r\nHost: node.example\r\nAuthorization: Bearer guess\r\n\r\n"
        flood = [socket.create_connection(self.node.admin, 10, ("127.0.0.4", 0)) for _ in range(40)]
        for sock in flood:
            self.addCleanup(sock.close)
            sock.sendall(request)
        refused = set()

        def read():
            refused.update(s for s in select.select(flood, [], [], 0)[0] if s not in refused and
                           s.recv(12) == b"HTTP/1.1 429")
            return len(refused) > len(flood) - 20
        harness.wait_until(read, 10, lambda: f"{len(refused)} are refused")
        said = self.node.log_lines("too many wrong tokens")
        self.assertTrue(1 <= len(said) < 5, said)
        self.assertGreater(len(self.node.log_lines("wrong token\" peer=127.0.0.4:")), 5)
        self.assertEqual(self.guess(4, secret("eye"))[0], 200)
        self.assertEqual(self.guess(5, secret("eye"))[0], 200)


class SchedulerTest(unittest.TestCase):
    """People's API of a scheduler takes the same file."""

    def test_scopes_count_at_the_scheduler_too(self):
        with harness.Cluster(origins=1, edges=0) as cluster:
            path = os.path.join(cluster.folder, "tokens")
            write_tokens(path, SECRETS)
            process = harness.program("headwater-scheduler", {
                "http.listen": "127.0.0.1:0", "token_file": cluster.token_path, "admin.tokens_file": path},
                cluster.folder, "scheduler-2")
            cluster.processes.append(process)
            address = harness.parse_address(process.wait_ready()["http"])
            node = {**FOREIGN, "Authorization": f"Bearer {harness.TOKEN}"}
            for method, call, headers, wanted in (
                    ("GET", "/api/v1/nodes", FOREIGN, 401), ("GET", "/api/v1/nodes", bearer("eye"), 200),
                    ("GET", "/api/v1/nodes", node, 200), ("GET", "/api/v1/streams/live/none", bearer("eye"), 404),
                    ("POST", "/api/v1/nodes/none/drain", {**bearer("hand"), **JSON}, 403),
                    ("POST", "/api/v1/nodes/none/drain", bearer("boss"), 415),
                    ("POST", "/api/v1/nodes/none/drain", {**bearer("boss"), **JSON}, 404),
                    ("GET", "/api/v1/nodes", {**FOREIGN, "Authorization": "Bearer guess"}, 401),
                    # What nodes ask is for the node token alone.
                    ("GET", "/v1/route?stream=live/a", bearer("boss"), 401),
                    ("GET", "/v1/trace?session=f-1", bearer("boss"), 401)):
                status, _, text = harness.http_request(address, call, method, headers)
                self.assertEqual(status, wanted, (method, call, headers, text))
            self.assertTrue(process.log_lines("who=hand"))


class ConfigTest(unittest.TestCase):
    def test_config_shows_no_secret_of_any_source(self):
        sets = {"pull.sources": "live/a=rtmp://user:pa@ss@source.example/live/streamkey1?token=tok1"}
        with harness.Cluster(schedulers=0, origins=1, edges=0, node_set=sets) as cluster:
            config = harness.get_json(cluster.origins[0].admin, "/api/v1/config")
            self.assertEqual(config["pull.sources"], ["live/a=rtmp://***@source.example/***"])
            self.assertEqual(config["limits.viewers"], 0)
            text = json.dumps(config)
            for hidden in ("pa@ss", "ss@", "user:", "streamkey1", "tok1"):
                self.assertNotIn(hidden, text)

    def test_a_token_file_that_cannot_be_used_is_said_at_the_start(self):
        with harness.Cluster(schedulers=0, origins=0, edges=0) as cluster:
            path = os.path.join(cluster.folder, "tokens")
            with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
                file.write("ok read 0123456789abcdef\nbroken-line\n")
            process = harness.program("headwater-node", {
                "rtmp.listen": "", "http.listen": "127.0.0.1:0", "admin.listen": "127.0.0.1:0", "admin.tokens_file": path},
                cluster.folder)
            self.assertNotEqual(process.popen.wait(20), 0)
            self.assertIn("admin.tokens_file", process.log())
            self.assertIn("line 2", process.log())
            self.assertNotIn("0123456789abcdef", process.log())


if __name__ == "__main__":
    harness.main()
