"""headwater-tool doctor: each thing that can be wrong is wrong here once, and what is right is said to be."""

import json
import os
import socket
import unittest

import harness
import tools


class DoctorTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 0, "schedulers": 1}

    def doctor(self, program, *sets, options=()):
        """{(verdict, check): [text]} and the exit code."""
        words = [word for one in sets for word in ("--set", one)]
        code, out, err = tools.run("doctor", "--json", "-", "--timeout", "5", *options, program, *words)
        self.assertIn(code, (0, 1), err)
        said = json.loads(out)
        self.found = {}
        for one in said["found"]:
            self.found.setdefault((one["verdict"], one["check"]), []).append(one["text"])
        self.assertEqual(code, 1 if said["fail"] else 0)
        return code

    def node(self, *sets):
        ports = ["rtmp.listen=127.0.0.1:%d", "http.listen=127.0.0.1:%d", "admin.listen=127.0.0.1:%d"]
        return self.doctor("node", *(one % harness.free_port() for one in ports), *sets)

    def end_later(self, process):
        self.addCleanup(lambda: (process.popen.kill(), process.popen.wait()))

    def answers(self, port):
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0

    def assert_found(self, verdict, check, text):
        self.assertTrue([one for one in self.found.get((verdict, check), ()) if text in one],
                        f"no {verdict} of {check} with {text!r} in {self.found}")

    def cluster_sets(self):
        address = "%s:%d" % self.cluster.schedulers[0].http
        return [f"cluster.schedulers=http://{address}", f"cluster.token_file={self.cluster.token_path}"]

    def test_nothing_fails_where_a_node_could_run(self):
        self.assertEqual(self.node(*self.cluster_sets()), 0)
        self.assert_found("ok", "schedulers", "is ready: ok")
        for key in ("rtmp.listen", "http.listen", "admin.listen"):
            self.assert_found("ok", "ports", key)

    def test_configuration_that_is_refused_ends_it(self):
        self.assertEqual(self.node("cluster.role=boss"), 1)
        self.assert_found("fail", "config", "cluster.role")
        self.assertEqual(len(self.found), 1)

    def test_port_in_use_and_one_that_may_not_be_used(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.node("rtmp.listen=127.0.0.1:%d" % taken.getsockname()[1], "http.listen=192.0.2.1:8080")
        self.assert_found("warn", "ports", "is in use")
        self.assert_found("fail", "ports", "192.0.2.1")

    def test_more_connections_than_descriptors(self):
        self.node("limits.connections=10000000")
        self.assert_found("fail", "descriptors", "limits.connections is 10000000")

    def test_folder_that_is_not_there_or_no_folder(self):
        self.node("state.file=/nowhere/state.json", f"record.dir={self.cluster.token_path}")
        self.assert_found("fail", "folders", "/nowhere: No such file")
        self.assert_found("fail", "folders", "is no folder")
        self.node(f"state.file={self.cluster.folder}/state.json")
        self.assert_found("ok", "folders", "can be written to")

    def test_scheduler_that_is_away_and_one_that_refuses_the_token(self):
        wrong = os.path.join(self.cluster.folder, "wrong")
        with open(wrong, "w", encoding="ascii") as file:
            file.write("another-token-0123456789")
        self.node(f"cluster.schedulers=http://127.0.0.1:{harness.free_port()}")
        self.assert_found("fail", "schedulers", "does not answer")
        scheduler = harness.program("headwater-scheduler", {"http.listen": "0.0.0.0:0", "token_file": self.cluster.token_path},
                                    self.cluster.folder, "scheduler-everywhere")
        self.end_later(scheduler)
        everywhere = "cluster.schedulers=http://127.0.0.1:%d" % harness.parse_address(scheduler.wait_ready()["http"])[1]
        self.node(everywhere, *self.cluster_sets()[1:])
        self.assert_found("ok", "schedulers", "is ready: ok")
        self.assertNotIn(("fail", "schedulers"), self.found)
        self.node(everywhere, f"cluster.token_file={wrong}")
        self.assert_found("fail", "schedulers", "cluster.token_file is not the scheduler's")
        self.node(*self.cluster_sets()[:1], "cluster.token_file=/nowhere/token")
        self.assert_found("fail", "token", "/nowhere/token")

    def test_where_an_advertised_address_leads(self):
        port, other = harness.free_port(), socket.create_server(("127.0.0.1", 0))
        with other:
            self.node(f"http.listen=0.0.0.0:{port}", f"cluster.advertise.internal.http=http://127.0.0.1:{port}",
                      "cluster.advertise.public.http=http://127.0.0.1:%d" % other.getsockname()[1],
                      f"cluster.advertise.public.rtmp=rtmp://127.0.0.1:{harness.free_port()}",
                      "cluster.advertise.internal.rtmp=rtmp://nowhere.invalid:1935")
        self.assert_found("ok", "addresses", f"internal.http http://127.0.0.1:{port} leads to http.listen")
        self.assert_found("warn", "addresses", "public.http")
        self.assert_found("fail", "addresses", "public.rtmp")
        self.assert_found("fail", "addresses", "nowhere.invalid")

    def test_beside_a_node_that_runs(self):
        node = self.cluster.nodes[0]
        self.assertEqual(self.doctor("node", *("%s.listen=%s:%d" % (key, *getattr(node, key)) for key in ("rtmp", "http", "admin")),
                                     "cluster.advertise.internal.http=http://%s:%d" % node.http), 0)
        self.assertEqual(len(self.found["warn", "ports"]), 3)
        self.assert_found("ok", "addresses", "answers")

    def test_redis_of_a_scheduler(self):
        redis = harness.Redis(self.cluster.folder)
        self.end_later(redis.process)
        sets = [f"http.listen=127.0.0.1:{harness.free_port()}", "store.type=redis"]
        self.assertEqual(self.doctor("scheduler", *sets, f"store.redis.url={redis.url()}"), 0)
        self.assert_found("ok", "redis", "is a master")
        self.assert_found("ok", "redis", "its clock is")
        self.assert_found("warn", "token", "only this machine")
        redis.command("CONFIG", "SET", "requirepass", "told")
        self.doctor("scheduler", *sets, f"store.redis.url={redis.url()}")
        self.assert_found("fail", "redis", "NOAUTH")
        self.doctor("scheduler", *sets, f"store.redis.url=redis://127.0.0.1:{harness.free_port()}")
        self.assert_found("fail", "redis", "Connection refused")

    def test_sentinels_of_a_scheduler(self):
        redis = harness.Redis(self.cluster.folder)
        self.end_later(redis.process)
        port = harness.free_port()
        conf = os.path.join(self.cluster.folder, "sentinel.conf")
        with open(conf, "w", encoding="ascii") as file:
            file.write(f"port {port}\nbind 127.0.0.1\nsentinel monitor headwater 127.0.0.1 {redis.port} 1\n")
        sentinel = harness.Process("sentinel", [harness.tool("redis-server"), conf, "--sentinel"], self.cluster.folder)
        self.end_later(sentinel)
        harness.wait_until(lambda: self.answers(port), 10, "the sentinel listens")
        sets = [f"http.listen=127.0.0.1:{harness.free_port()}", "store.type=redis",
                f"store.redis.sentinels=127.0.0.1:{port},127.0.0.1:{harness.free_port()}"]
        self.doctor("scheduler", *sets, "store.redis.master=headwater")
        self.assert_found("ok", "redis", f"names 127.0.0.1:{redis.port}")
        self.assert_found("ok", "redis", "is a master")
        self.assert_found("fail", "redis", "sentinel at 127.0.0.1")
        self.doctor("scheduler", *sets, "store.redis.master=other")
        self.assert_found("fail", "redis", 'does not know "other"')

    def test_lines_for_people_and_usage(self):
        code, out, _ = tools.run("doctor", "--quiet", "node", "--set", "state.file=/nowhere/x", "--set",
                                 f"rtmp.listen=127.0.0.1:{harness.free_port()}")
        self.assertEqual(code, 1)
        self.assertIn("FAIL  folders      state.file: /nowhere", out.decode())
        self.assertNotIn("ok  ", out.decode())
        for words in ((), ("tool",), ("node", "--bogus")):
            self.assertEqual(tools.run("doctor", *words)[0], 2)


if __name__ == "__main__":
    unittest.main()
