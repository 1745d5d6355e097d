"""Records while life goes on: who is told, who plays them, disks that hang, folders that go, rules that come and go,
processes that end in the middle."""

import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest
import unittest.mock

import events
import harness
import media
import outputs
import receiver
import records
from test_replace import replace
from records import JSON, decode, listed, probe, url, wait_listed, wait_written


def parts(folder):
    return [name for name in records.files(folder) if name.endswith(".part")]


class Told(records.RecordTest):
    """Hooks and readers of events, up to the last file of a process."""

    rule = "* formats=flv|hls split_s=1 segment_s=1"

    @classmethod
    def setUpClass(cls):
        cls.told = receiver.Receiver()
        cls.addClassCleanup(cls.told.close)
        cls.node_set = {"hooks.targets": cls.told.url()}
        super().setUpClass()

    def test_each_file_is_told_up_to_the_last_one(self):
        self.told.wait_event("on_server_start")
        reader = events.Reader(self.node)
        self.addCleanup(reader.close)
        self.publish(loop=True)
        first = self.told.wait_event("on_record_segment", stream=self.stream, format="hls")
        same = reader.wait("on_record_segment", path=first["path"])
        for told in (first, same):
            self.assertEqual((told["url"], told["reason"]), (f"/records/{told['path']}", "time"))
            self.assertGreater(told["duration_ms"], 800)
            self.assertGreater(told["bytes"], 1000)
        self.assertEqual(harness.http_request(self.node.http, first["url"])[0], 200)
        wait_written(self.node, self.stream, 300, ("flv", "hls"))
        self.assertEqual(self.node.stop(), 0)  # SIGTERM, while both are being written
        self.cluster.processes.remove(self.node)
        self.assertEqual(parts(self.folder), [])
        self.assertTrue(self.told.wait_event("on_server_stop", reason="signal"))
        on_disk = {f"{self.stream}/{line['file']}" for line in records.index(self.folder, self.stream)}
        for of, paths in (("hooks", [e["path"] for e in self.told.events("on_record_segment")]),
                          ("events", [e["path"] for e in reader.of("on_record_segment")])):
            self.assertEqual(len(paths), len(set(paths)), of)
            self.assertEqual(set(paths), on_disk, of)
        node = self.cluster.restart_node(self.node)
        for record in listed(node, self.stream)[-2:]:
            self.assertNotEqual(record["reason"], "recovered")
            self.assertGreater(decode(url(node, record), strict=False), 5)


class Played(records.RecordTest):
    """Who plays a record is a viewer: seen, counted, limited, logged and closed like others."""

    rule = "* formats=mp4|hls segment_s=1"

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.log_path = os.path.join(folder.name, "access.log")
        cls.node_set = {"access_log.file": cls.log_path, "limits.apps": "few viewers=2"}
        super().setUpClass()
        node = cls.cluster.origins[0]
        for app in ("live", "few"):
            media.publish(media.clip("fat", 10), node.url(f"{app}/fat"), cls.cluster.folder, realtime=False).popen.wait(60)
        cls.records = {(app, r["format"]): r for app in ("live", "few") for r in wait_listed(node, f"{app}/fat", 2)}

    def begin(self, app="live"):
        """A player that has got the first bytes, and takes no more."""
        conn = harness.http.client.HTTPConnection(*self.node.http, timeout=10)
        self.addCleanup(conn.close)
        conn.connect()
        conn.sock.setsockopt(harness.socket.SOL_SOCKET, harness.socket.SO_RCVBUF, 4096)
        conn.request("GET", self.records[app, "mp4"]["url"], headers={"User-Agent": "slow/1"})
        return conn, conn.getresponse()

    def sessions(self, **want):
        return [s for s in self.node.sessions() if s["protocol"] == "record" and want.items() <= s.items()]

    def lines(self, **want):
        with open(self.log_path, encoding="utf-8") as file:
            return [e for e in map(json.loads, file.read().splitlines()) if want.items() <= e.items()]

    def test_a_player_is_a_session_that_is_told_and_logged(self):
        reader = events.Reader(self.node)
        self.addCleanup(reader.close)
        conn, answer = self.begin()
        session = harness.wait_until(lambda: self.sessions(stream="live/fat"))[0]
        self.assertEqual(session["kind"], "play")
        reader.wait("on_play", session=session["id"], protocol="record")
        self.assertGreater(len(answer.read(1000)), 0)
        conn.close()
        done = reader.wait("on_play_done", session=session["id"])
        self.assertEqual(done["reason"], "peer left")
        self.assertGreater(done["bytes_out"], 1000)
        line = harness.wait_until(lambda: self.lines(session=session["id"]))[0]
        self.assertEqual((line["protocol"], line["agent"], line["refused"]), ("record", "slow/1", False))
        self.assertEqual(self.sessions(), [])

    def test_a_whole_file_is_logged_with_its_bytes(self):
        record = self.records["live", "mp4"]
        self.assertEqual(harness.http_request(self.node.http, record["url"], headers={"User-Agent": "whole/1"})[0], 200)
        line = harness.wait_until(lambda: self.lines(agent="whole/1"))[0]
        self.assertEqual((line["bytes_out"], line["reason"]), (record["bytes"], "end of the record"))
        etag = harness.http_request(self.node.http, record["url"], "HEAD", {"User-Agent": "head/1"})[1]["etag"]
        harness.http_request(self.node.http, record["url"], "GET", {"User-Agent": "head/1", "If-None-Match": etag})
        self.assertEqual(harness.http_request(self.node.http, record["url"], headers={"User-Agent": "whole/2"})[0], 200)
        harness.wait_until(lambda: self.lines(agent="whole/2"))
        self.assertEqual(self.lines(agent="head/1"), [])  # no bytes, no session

    def test_segments_are_logged_and_tell_nothing(self):
        reader = events.Reader(self.node)
        self.addCleanup(reader.close)
        self.assertGreater(decode(url(self.node, self.records["live", "hls"]), strict=False), 100)
        conn, _ = self.begin()
        reader.wait("on_play", protocol="record", stream="live/fat", kind="play")
        conn.close()
        harness.wait_until(lambda: len(reader.of("on_play_done", protocol="record")) >= 2)
        self.assertLess(len(reader.of("on_play", protocol="record")), 5)
        segments = self.records["live", "hls"]["segments"]
        self.assertGreaterEqual(len([e for e in self.lines(protocol="record") if "Lavf" in e["agent"]]), segments)

    def test_an_operator_ends_it(self):
        conn, answer = self.begin()
        session = harness.wait_until(lambda: self.sessions(stream="live/fat"))[0]
        status, _, _ = harness.http_request(self.node.admin, "/api/v1/sessions/" + session["id"], "DELETE", JSON)
        self.assertEqual((status, self.sessions(id=session["id"])), (204, []))
        with self.assertRaises(harness.http.client.IncompleteRead):
            answer.read()
        line = harness.wait_until(lambda: self.lines(session=session["id"]))[0]
        self.assertEqual(line["reason"], "closed by the operator")
        conn.close()

    def test_limits_count_them(self):
        held = [self.begin("few") for _ in range(2)]
        self.assertEqual([answer.status for _, answer in held], [200, 200])
        status, headers, _ = harness.http_request(self.node.http, self.records["few", "mp4"]["url"])
        self.assertIn(status, (429, 503))
        self.assertIn("retry-after", headers)
        self.assertTrue(harness.wait_until(lambda: self.lines(stream="few/fat", refused=True)))
        for conn, _ in held:
            conn.close()
        harness.wait_until(lambda: harness.http_request(self.node.http, self.records["few", "mp4"]["url"])[0] == 200)

    def test_nothing_else_of_the_disk_is_reached(self):
        url_of = self.records["live", "mp4"]["url"]
        folder, file = os.path.join(self.folder, "live", "fat"), url_of.rsplit("/", 1)[1]
        secret = os.path.join(self.cluster.folder, "secret")
        with open(secret, "w", encoding="utf-8") as out:
            out.write("secret")
        os.symlink(secret, os.path.join(folder, "20200101T000000Z-000900.mp4"))
        os.symlink(folder, os.path.join(self.folder, "live", "link"))
        os.mkfifo(os.path.join(folder, "20200101T000000Z-000901.mp4"))
        os.mkdir(os.path.join(folder, "20200101T000000Z-000902.mp4"))
        for path in (f"/records/live/link/{file}", "/records/live/fat/20200101T000000Z-000900.mp4",
                     "/records/live/fat/20200101T000000Z-000901.mp4", "/records/live/fat/20200101T000000Z-000902.mp4",
                     "/records/live/fat/", "/records/live/fat", "/records/live", "/records/", "/records/live/fat/index.jsonl",
                     f"/records/live/fat/..%2ffat/{file}", f"/records/live/%2e%2e/live/fat/{file}",
                     f"/records/live//fat/{file}", f"/records/live/fat/{file}%00.mp4", f"/records/live/f%C3%A4t/{file}",
                     f"/records/live/fat/{file}%2F", f"/records/live/fat/{file.replace('-', '%E2%80%90')}",
                     f"/records/live/fat/%EF%BC%8F{file}", "/records/live/fat/" + "9" * 4000 + ".mp4"):
            status, _, body = harness.http_request(self.node.http, path)
            self.assertIn(status, (400, 404, 414, 431), path)
            self.assertNotIn(b"secret\n", body + b"\n", path)
        self.assertEqual(harness.http_request(self.node.http, f"/%72ecords/live/fat/{file}")[0], 200)  # the same path


class Rules(records.RecordTest):
    rule = "none/* formats=flv"

    def put(self, **rule):
        status, _, text = harness.http_request(self.node.admin, "/api/v1/records/rules", "POST", JSON, json.dumps(rule))
        self.assertEqual(status, 200, text)
        return json.loads(text)

    def test_three_hundred_rules_and_one_that_goes(self):
        self.publish(loop=True)
        harness.wait_until(lambda: [s for s in self.node.streams() if s["name"] == self.stream])
        for i in range(300):
            self.put(id=f"r{i:03}", streams=f"other{i}/*", formats=["flv", "mp4"])
        self.put(id="this", streams=self.stream, formats=["flv"])
        wait_written(self.node, self.stream, 500, ("flv",))
        self.put(id="this", streams=self.stream, formats=["mp4"])
        self.assertEqual(wait_listed(self.node, self.stream, 1)[0]["reason"], "stop")
        wait_written(self.node, self.stream, 500, ("mp4",))
        status, _, _ = harness.http_request(self.node.admin, "/api/v1/records/rules/this", "DELETE", JSON)
        self.assertEqual(status, 204)
        got = {r["format"]: r for r in wait_listed(self.node, self.stream, 2)}
        self.assertEqual((set(got), got["mp4"]["reason"]), ({"flv", "mp4"}, "stop"))
        for record in got.values():
            self.assertGreater(decode(url(self.node, record)), 5)
        self.assertEqual(records.running(self.node, self.stream), {})
        self.assertEqual(len(harness.items(self.node.admin, "/api/v1/records/rules?limit=70")), 300)


class Gone(records.RecordTest):
    rule = "* formats=flv|hls segment_s=1"

    def test_a_folder_that_is_removed_is_made_again(self):
        self.publish(loop=True)
        for gone in (os.path.join(self.folder, "live"), self.folder):
            wait_written(self.node, self.stream, 1500, ("flv", "hls"))
            files = {name: r["file"] for name, r in records.running(self.node, self.stream).items()}
            shutil.rmtree(gone)
            harness.wait_until(lambda: {name: r["file"] for name, r in records.running(self.node, self.stream).items()
                                        if r["state"] == "writing"}.items() ^ files.items() and
                               len(records.running(self.node, self.stream)) == 2 and os.path.isdir(self.folder), 20,
                               lambda: records.running(self.node, self.stream))
        wait_written(self.node, self.stream, 1500, ("flv", "hls"))
        self.assertEqual(self.node.stop(), 0)
        self.cluster.processes.remove(self.node)
        node = self.cluster.restart_node(self.node)
        for record in wait_listed(node, self.stream, 2):
            self.assertGreater(probe(url(node, record))["duration"], 1, record)


class Crowd(records.RecordTest):
    """kill -9 with many streams in each format."""

    rule = "* formats=flv|ts|mp4|hls segment_s=1 split_s=2"

    def test_kill_9_under_load_loses_the_last_gop_of_each(self):
        streams = [f"live/s{i}" for i in range(12)]
        for stream in streams:
            self.publish("small", 10, stream, loop=True)
        for stream in streams:
            wait_written(self.node, stream, 1, timeout_s=40)
        wait_written(self.node, streams[-1], 1200, timeout_s=40)
        said = {(s, name): r for s in streams for name, r in records.running(self.node, s).items() if r["file"]}
        self.node.kill()
        before = {os.path.join(s, r["file"].removesuffix(".part")): r["duration_ms"] for (s, _), r in said.items()}
        node = self.cluster.restart_node(self.node)
        harness.wait_until(lambda: not parts(self.folder), 40, lambda: parts(self.folder))
        got = harness.wait_until(lambda: (lambda g: g if {p for p, ms in before.items() if ms > 1300} <= set(g) else None)(
            {r["id"]: r for r in listed(node)}), 20, lambda: (before, listed(node)))
        for path, ms in before.items():
            if ms > 1300:  # else its one GOP may have been lost
                self.assertGreaterEqual(got[path]["duration_ms"], ms - 1150, path)
        for record in [r for r in got.values() if r["reason"] == "recovered"][::5]:
            self.assertGreater(decode(url(node, record), strict=False), 0, record)
        numbers = [(r["stream"], r["file"].split("-")[1].split(".")[0]) for r in got.values()]
        self.assertEqual(len(numbers), len(set(numbers)))


class Replaced(records.RecordTest):
    """Both processes record the same stream for a while: a pull, as each of them has one."""

    rule, node_set = "* formats=flv|mp4 split_s=1 relayed=true", {"drain_timeout_s": "4"}

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.source = harness.Cluster(origins=1, edges=0, schedulers=0)
        cls.source.__enter__()
        cls.addClassCleanup(cls.source.__exit__, None, None, None)
        cls.publisher = media.publish(media.clip("small", 10), cls.source.origins[0].url("live/cam"), cls.source.folder,
                                      loop=True)
        cls.addClassCleanup(cls.publisher.kill)
        cls.node_set = {**cls.node_set, "handover.socket": os.path.join(folder.name, "socket"),
                        "relay.allow_private_targets": "true",
                        "pull.sources": f"live/cam urls={cls.source.origins[0].url('live/cam')} mode=always"}
        super().setUpClass()

    def test_numbers_and_index_lines_are_each_given_once(self):
        stream = "live/cam"
        wait_listed(self.node, stream, 2)
        player = outputs.Player(self.node.http, stream, "flv")  # for whom the old process stays
        harness.wait_until(lambda: player.has(1000), 15)
        fresh = replace(self.cluster, self.node)
        self.node.expect_death = True
        self.cluster.origins[0] = fresh.learn()
        self.node.wait_log("draining")
        harness.wait_until(lambda: not self.node.is_alive(), 30, "the old one goes")
        n = len(listed(fresh, stream))
        wait_listed(fresh, stream, n + 4)
        self.assertEqual(self.cluster.origins[0].stop(), 0)
        self.cluster.processes.remove(fresh)
        self.assertEqual(parts(self.folder), [])
        on_disk = {name for name in os.listdir(os.path.join(self.folder, stream)) if name != "index.jsonl"}
        lines = [line["file"] for line in records.index(self.folder, stream)]
        self.assertEqual(sorted(lines), sorted(on_disk))
        numbers = [name.split("-")[1].split(".")[0] for name in on_disk]
        self.assertEqual(len(numbers), len(set(numbers)))
        for line in records.index(self.folder, stream):
            self.assertNotEqual(line["reason"], "recovered", line)
            self.assertGreater(decode(os.path.join(self.folder, stream, line["file"]), strict=False), 0, line)


class Hangs(records.RecordTest):
    """A disk that takes nothing for some seconds."""

    rule = "* formats=flv"

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.gate = os.path.join(cls.temporary.name, "hangs")
        library = os.path.join(cls.temporary.name, "slow_disk.so")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "slow_disk.c")
        subprocess.run([harness.tool("cc"), "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        cls.node_set = {"record.queue_bytes": str(1 << 20), "record.queue_ms": "2000"}
        env = {**harness.sanitizer_env(), "LD_PRELOAD": library, "SLOW_DISK": cls.gate,
               "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}
        with unittest.mock.patch.object(harness, "sanitizer_env", lambda: env):
            super().setUpClass()

    def queued(self):
        return self.node.metrics().total("headwater_record_queue_bytes")

    def dropped(self):
        return self.node.metrics().total("headwater_record_dropped_gops_total")

    def test_nobody_waits_for_it_and_the_queue_stays_in_its_bounds(self):
        self.publish("fat", 10, loop=True)
        wait_written(self.node, self.stream, 100, ("flv",))
        player = outputs.Player(self.node.http, self.stream, "flv")
        harness.wait_until(lambda: player.has(100000), 15)
        wait_written(self.node, self.stream, 1000, ("flv",))
        with open(self.gate, "w", encoding="utf-8"):
            pass
        most, least, end = 0, None, time.monotonic() + 6
        while time.monotonic() < end:
            at, before = time.monotonic(), len(player.bytes)
            most = max(most, self.queued())
            self.assertEqual(harness.http_request(self.node.http, "/healthz")[0], 200)
            time.sleep(max(0, 1 - (time.monotonic() - at)))
            got = len(player.bytes) - before
            least = got if least is None else min(least, got)
        self.assertGreater(most, 0, "the disk did not hang")
        self.assertLess(most, (1 << 20) + (2 << 20))  # a batch more, and a GOP that had begun
        self.assertGreater(least, 10000, "the viewer waited")
        self.assertGreater(self.dropped(), 1)
        os.unlink(self.gate)
        harness.wait_until(lambda: self.queued() < 300000, 20, "the queue is done")
        n, at = self.dropped(), records.running(self.node, self.stream)["flv"]["duration_ms"]
        harness.wait_until(lambda: records.running(self.node, self.stream)["flv"]["duration_ms"] > at + 3000, 20)
        self.assertEqual(self.dropped(), n)
        self.assertEqual(self.node.stop(), 0)
        self.cluster.processes.remove(self.node)
        node = self.cluster.restart_node(self.node)
        record = wait_listed(node, self.stream, 1)[0]
        self.assertGreater(decode(url(node, record), strict=False), 50)


if __name__ == "__main__":
    unittest.main(verbosity=2)
