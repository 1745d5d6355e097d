"""Recording: files against their source, what the API says of them, and how they are played."""

import json
import os
import re
import subprocess
import tempfile
import unittest

import certs
import credentials
import harness
import media
import records
from records import FORMATS, JSON, decode, hashes, listed, probe, url, wait_listed, wait_written

SECONDS = 6


class Files(records.RecordTest):
    """Each format, of one publish."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.source = media.clip("h264_aac", SECONDS)
        node = cls.cluster.origins[0]
        publisher = media.publish(cls.source, node.url("live/all"), cls.cluster.folder)
        publisher.popen.wait(60)
        cls.records = {r["format"]: r for r in wait_listed(node, "live/all", len(FORMATS))}

    def test_every_format_has_every_packet_of_the_source(self):
        want = hashes(self.source)
        for name in FORMATS:
            got = hashes(url(self.node, self.records[name]))
            self.assertEqual(len(got["video"]), len(want["video"]), name)
            if name in ("flv", "mp4"):  # TS has start codes and parameter sets in front
                self.assertEqual(got["video"], want["video"], name)
            lost = len(want["audio"]) - len(got["audio"])  # of before the first key frame
            self.assertLess(lost, 6, name)
            self.assertEqual(got["audio"], want["audio"][lost:], name)

    def test_every_format_says_how_long_it_is(self):
        for name in FORMATS:
            told = probe(url(self.node, self.records[name]))
            self.assertEqual(told["tracks"], ["audio", "video"], name)
            self.assertAlmostEqual(told["duration"], SECONDS, delta=0.3, msg=name)
            self.assertAlmostEqual(self.records[name]["duration_ms"] / 1000, SECONDS, delta=0.3, msg=name)

    def test_files_begin_at_zero(self):
        for name in FORMATS:
            done = subprocess.run([harness.tool("ffprobe"), "-v", "error", "-show_entries", "format=start_time", "-of",
                                   "csv=p=0", url(self.node, self.records[name])], capture_output=True, text=True, check=True)
            self.assertLess(float(done.stdout), 0.3, name)

    def test_flv_and_mp4_are_sought_in_to_the_picture(self):
        for name in ("flv", "mp4"):
            where = url(self.node, self.records[name])
            whole, rest = decode(where), decode(where, 3)
            self.assertEqual(whole, SECONDS * 25, name)
            self.assertAlmostEqual(rest, 3 * 25, delta=3, msg=name)

    def test_ts_and_hls_are_sought_in(self):
        for name in ("ts", "hls"):
            self.assertGreater(decode(url(self.node, self.records[name]), 3, strict=False), 40, name)

    def test_flv_has_a_list_of_its_key_frames(self):
        path = os.path.join(self.folder, self.records["flv"]["id"])
        with open(path, "rb") as file:
            data = file.read()
        self.assertIn(b"filepositions", data[:16400])
        for key in probe(path)["keys"]:
            self.assertGreaterEqual(key, 0)
        self.assertEqual(len(probe(path)["keys"]), SECONDS)

    def test_mp4_has_its_tables_behind_one_mdat(self):
        with open(os.path.join(self.folder, self.records["mp4"]["id"]), "rb") as file:
            data = file.read()
        kinds, at = [], 0
        while at < len(data):
            size = int.from_bytes(data[at:at + 4], "big")
            kinds.append(data[at + 4:at + 8])
            at += int.from_bytes(data[at + 8:at + 16], "big") if size == 1 else size
        self.assertEqual((kinds, at), ([b"ftyp", b"mdat", b"moov"], len(data)))

    def test_hls_is_a_whole_list(self):
        status, headers, body = harness.http_request(self.node.http, self.records["hls"]["url"])
        text = body.decode()
        self.assertEqual((status, headers["content-type"]), (200, "application/vnd.apple.mpegurl"))
        self.assertTrue(text.endswith("#EXT-X-ENDLIST\n"))
        self.assertEqual(len(re.findall(r"\.ts$", text, re.M)), 3)
        self.assertLessEqual(max(float(d) for d in re.findall(r"EXTINF:([\d.]+)", text)), 2.5)

    def test_the_index_is_what_the_api_says(self):
        lines = {line["file"]: line for line in records.index(self.folder, "live/all")}
        for record in self.records.values():
            line = lines[record["file"]]
            self.assertEqual({key: record[key] for key in line}, line)
            self.assertEqual((line["video"], line["audio"], line["reason"]), ("h264", "aac", "publisher"))
            self.assertRegex(record["file"], r"^20\d{6}T\d{6}Z-\d{6}\.(flv|ts|mp4|m3u8)$")

    def test_nothing_else_is_there(self):
        names = records.files(os.path.join(self.folder, "live/all"))
        self.assertEqual(len(names), 3 + 1 + 3 + 1, names)  # files, list and its segments, index
        self.assertFalse([name for name in names if name.endswith(".part")])


class Playback(records.RecordTest):
    """GET /records/..."""

    rule = "* formats=mp4"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        node = cls.cluster.origins[0]
        media.publish(media.clip("fat", 10), node.url("live/fat"), cls.cluster.folder, realtime=False).popen.wait(60)
        cls.record = wait_listed(node, "live/fat", 1)[0]
        with open(os.path.join(cls.folder, cls.record["id"]), "rb") as file:
            cls.data = file.read()

    def ask(self, method="GET", path=None, **headers):
        headers = {key.replace("_", "-"): value for key, value in headers.items()}
        return harness.http_request(self.node.http, path or self.record["url"], method, headers)

    def test_the_whole_file(self):
        status, headers, body = self.ask()
        self.assertGreater(len(body), 2 << 20)  # many pieces
        self.assertEqual((status, body == self.data, headers["content-type"]), (200, True, "video/mp4"))
        self.assertEqual(headers["accept-ranges"], "bytes")
        self.assertEqual(headers["access-control-allow-origin"], "*")

    def test_head(self):
        status, headers, body = self.ask("HEAD")
        self.assertEqual((status, headers["content-length"], body), (200, str(len(self.data)), b""))

    def test_ranges(self):
        for text, begin, end in (("bytes=0-0", 0, 1), ("bytes=262143-262145", 262143, 262146), ("bytes=-7", -7, None),
                                 ("bytes=1000000-", 1000000, None), ("bytes=5-1500000", 5, 1500001)):
            status, headers, body = self.ask(Range=text)
            self.assertEqual((status, body == self.data[begin:end]), (206, True), text)
            self.assertTrue(headers["content-range"].endswith(f"/{len(self.data)}"))
        self.assertEqual(self.ask(Range=f"bytes={len(self.data)}-")[0], 416)

    def test_etag(self):
        etag = self.ask("HEAD")[1]["etag"]
        self.assertEqual(self.ask(If_None_Match=etag)[0::2], (304, b""))
        self.assertEqual(self.ask(Range="bytes=0-3", If_Range=etag)[0], 206)
        self.assertEqual(self.ask(Range="bytes=0-3", If_Range='"other"')[0], 200)

    def test_one_connection_takes_many(self):
        conn = harness.http.client.HTTPConnection(*self.node.http, timeout=10)
        for at in (0, 700000, 1):
            conn.request("GET", self.record["url"], headers={"Range": f"bytes={at}-{at + 600000}"})
            answer = conn.getresponse()
            self.assertEqual((answer.status, answer.read() == self.data[at:at + 600001]), (206, True))
        conn.close()

    def test_who_leaves_in_the_middle_costs_nothing(self):
        for _ in range(20):
            conn = harness.http.client.HTTPConnection(*self.node.http, timeout=10)
            conn.request("GET", self.record["url"])
            conn.getresponse().read(1000)
            conn.close()
        harness.wait_until(lambda: not [fd for fd in os.listdir(f"/proc/{self.node.pid}/fd")
                                        if self.link(fd).endswith(".mp4")], 10, "all files are closed")

    def link(self, fd):
        try:
            return os.readlink(f"/proc/{self.node.pid}/fd/{fd}")
        except OSError:
            return ""

    def test_what_is_no_record_is_404(self):
        name = self.record["url"].rsplit("/", 1)
        for path in (name[0] + "/index.jsonl", name[0] + "/20200101T000000Z-000009.mp4", self.record["url"] + ".part",
                     "/records/live/none/" + name[1], "/records/" + name[1], "/records/live/fat/%2e%2e%2fx",
                     "/records/x/../../etc/passwd"):
            self.assertIn(self.ask(path=path)[0], (400, 404), path)


class Http2(records.RecordTest):
    """The same over HTTP/2, and with credentials."""

    rule = "* formats=mp4|hls segment_s=2"

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.ca = certs.Authority(folder.name, "test-ca")
        cls.node_set = {**credentials.write_files(folder.name), "https.listen": "127.0.0.1:0",
                        "access.rules": ["shut publish=open play=sign"],
                        "tls.certificates": ["=".join(cls.ca.issue("localhost", ["DNS:localhost"]))]}
        super().setUpClass()
        node = cls.cluster.origins[0]
        media.publish(media.clip("fat", 10), node.url("live/fat"), cls.cluster.folder, realtime=False).popen.wait(60)
        media.publish(media.clip("h264_aac", 6), node.url("shut/a"), cls.cluster.folder).popen.wait(60)
        cls.fat = next(r for r in wait_listed(node, "live/fat", 2) if r["format"] == "mp4")
        cls.shut = {r["format"]: r for r in wait_listed(node, "shut/a", 2)}

    def curl(self, path, *options):
        """HTTP version, status, body."""
        done = subprocess.run([harness.tool("curl"), "-sS", "--cacert", self.ca.path, "--max-time", "20", "--http2",
                               *options, "-w", "\n%{http_version} %{http_code}",
                               f"https://localhost:{self.node.https[1]}{path}"], capture_output=True, check=True)
        body, _, last = done.stdout.rpartition(b"\n")
        return *last.decode().split(), body

    def test_a_file_of_many_pieces(self):
        with open(os.path.join(self.folder, self.fat["id"]), "rb") as file:
            data = file.read()
        self.assertEqual(self.curl(self.fat["url"]), ("2", "200", data))
        self.assertEqual(self.curl(self.fat["url"], "-r", "300000-900000"), ("2", "206", data[300000:900001]))
        self.assertEqual(self.curl(self.fat["url"], "-I")[:2], ("2", "200"))
        both = self.curl(self.fat["url"], "-Z", "-o", "/dev/null", "-o", "/dev/null",
                         f"https://localhost:{self.node.https[1]}{self.fat['url']}")
        self.assertEqual(both[1], "200")

    def test_only_who_may_play_the_stream_gets_its_records(self):
        for record in self.shut.values():
            self.assertEqual(harness.http_request(self.node.http, record["url"])[0], 401)
            for query, status in ((credentials.sign("shut/a"), 200), (credentials.sign("shut/b"), 403)):
                self.assertEqual(harness.http_request(self.node.http, f"{record['url']}?{query}")[0], status)

    def test_a_playlist_that_was_given_leads_to_its_segments(self):
        where = f"{url(self.node, self.shut['hls'])}?{credentials.sign('shut/a')}"
        self.assertEqual(decode(where), 150)
        text = harness.http_request(self.node.http, f"{self.shut['hls']['url']}?{credentials.sign('shut/a')}")[2].decode()
        segment = next(line for line in text.splitlines() if line and line[0] != "#")
        base = self.shut["hls"]["url"].rsplit("/", 1)[0] + "/"
        self.assertEqual(harness.http_request(self.node.http, base + segment)[0], 200)
        self.assertIn(harness.http_request(self.node.http, base + segment.split("?")[0])[0], (401, 403))
        self.assertIn(harness.http_request(self.node.http, self.shut["mp4"]["url"] + "?" + segment.split("?")[1])[0], (401, 403))


class Api(records.RecordTest):
    """Rules by API, pages, removal."""

    rule = "never/* formats=flv"

    def put_rule(self, **rule):
        return harness.http_request(self.node.admin, "/api/v1/records/rules", "POST", JSON, json.dumps(rule))

    def remove_rule(self, rule_id):
        return harness.http_request(self.node.admin, f"/api/v1/records/rules/{rule_id}", "DELETE", JSON)[0]

    def test_a_rule_begins_and_ends_recording_of_a_live_stream(self):
        self.publish(loop=True)
        harness.wait_until(lambda: [s for s in self.node.streams() if s["name"] == self.stream])
        self.assertEqual(records.running(self.node, self.stream), {})
        status, _, body = self.put_rule(id="one", streams=self.stream, formats=["flv"])
        self.assertEqual(status, 200, body)
        wait_written(self.node, self.stream, 1500, ("flv",))
        rules = harness.items(self.node.admin, "/api/v1/records/rules")
        self.assertEqual([(r["streams"], r["state"]) for r in rules], [(self.stream, "recording")])
        self.assertEqual(self.remove_rule("one"), 204)
        record = wait_listed(self.node, self.stream, 1)[0]
        self.assertEqual(record["reason"], "stop")
        self.assertGreater(decode(url(self.node, record)), 30)
        self.assertEqual(records.running(self.node, self.stream), {})
        self.assertEqual(self.remove_rule("one"), 404)

    def test_bad_rules_are_refused_with_the_path(self):
        for rule, text in (({"formats": ["flv"]}, "streams"), ({"streams": "a/b", "formats": ["avi"]}, "formats"),
                           ({"streams": "a*b"}, "streams"), ({"streams": "a", "split_s": 0}, "split_s"),
                           ({"streams": "a", "colour": 1}, "colour")):
            status, _, body = self.put_rule(**rule)
            self.assertEqual(status, 400, rule)
            self.assertIn(text, json.loads(body)["detail"])

    def test_records_are_listed_page_by_page_and_removed(self):
        self.put_rule(id="pages", streams="pages/*", formats=["flv", "hls"])
        for n in range(3):
            self.publish("small", 1, f"pages/s{n}").popen.wait(30)
            wait_listed(self.node, f"pages/s{n}", 2)
        got = [r for r in listed(self.node) if r["stream"].startswith("pages/")]
        self.assertEqual([r["id"] for r in got], sorted(r["id"] for r in got))
        self.assertEqual(len(got), 6)
        one = next(r for r in got if r["format"] == "hls")
        path = "/api/v1/records/files/" + one["id"]
        self.assertEqual(harness.get_json(self.node.admin, path), one)
        self.assertEqual(harness.http_request(self.node.admin, path, "DELETE", JSON)[0], 204)
        self.assertEqual(harness.http_request(self.node.admin, path)[0], 404)
        self.assertEqual(harness.http_request(self.node.admin, path, "DELETE", JSON)[0], 404)
        self.assertEqual(harness.http_request(self.node.http, one["url"])[0], 404)
        left = records.files(os.path.join(self.folder, one["stream"]))
        self.assertEqual([name for name in left if name.endswith(".ts") or name.endswith(".m3u8")], [])
        self.assertEqual(harness.http_request(self.node.admin, "/api/v1/records?stream=..%2Fx")[0], 400)

    def test_names_never_lead_out_of_the_folder(self):
        """A server of another kind wrote <folder>/<stream>-<time>.flv for any name at all."""
        self.addCleanup(self.remove_rule, "everything")
        self.put_rule(id="everything", streams="*", formats=["flv", "ts", "mp4", "hls"])
        before = set(records.files(self.cluster.folder))
        for name in ("live/..%2f..%2fout", "../../out", "live/../../out", "live/.hidden", "/etc/out", "live/a%00b"):
            publisher = media.publish(media.clip("small", 1), "rtmp://%s:%d/" % self.node.rtmp + name, self.cluster.folder)
            self.addCleanup(publisher.kill)
            publisher.popen.wait(20)
        self.remove_rule("everything")
        harness.wait_until(lambda: not harness.items(self.node.admin, "/api/v1/records/running"))
        made = {path for path in set(records.files(self.cluster.folder)) - before if not path.endswith(".log")}
        for path in made:
            self.assertRegex(path, r"^records/(live|etc|a|out)(/[^./][^/]*){1,2}/[^./][^/]*$")
        self.assertFalse(os.path.exists("/etc/out"))

    def test_metrics_and_events_count_records(self):
        before = self.node.metrics().total("headwater_record_files_total", format="flv")
        self.put_rule(id="count", streams=self.stream, formats=["flv"])
        self.publish("small", 1).popen.wait(30)
        wait_listed(self.node, self.stream, 1)
        after = self.node.metrics()
        self.assertEqual(after.total("headwater_record_files_total", format="flv") - before, 1)
        self.assertEqual(after.total("headwater_record_queue_bytes"), 0)


class Snapshots(records.RecordTest):
    rule = "never/* formats=flv"

    def shot(self, stream):
        return harness.http_request(self.node.admin, f"/api/v1/streams/{stream}/snapshot.jpg", timeout_s=20)

    def test_a_picture_of_a_live_stream(self):
        self.publish(loop=True)
        status, headers, body = harness.wait_until(
            lambda: (lambda got: got if got[0] == 200 else None)(self.shot(self.stream)), 20)
        self.assertEqual((headers["content-type"], body[:2]), ("image/jpeg", b"\xff\xd8"))
        path = os.path.join(self.cluster.folder, "shot.jpg")
        with open(path, "wb") as file:
            file.write(body)
        shown = subprocess.run([harness.tool("ffprobe"), "-v", "error", "-show_entries", "stream=width,height", "-of",
                                "csv=p=0", path], capture_output=True, text=True, check=True).stdout
        self.assertEqual(shown.strip(), "320,240")
        self.assertEqual(self.shot("live/none")[0], 404)

    def test_sound_alone_has_no_picture(self):
        self.publish("audio_only", 4, loop=True)
        harness.wait_until(lambda: [s for s in self.node.streams() if s["name"] == self.stream])
        self.assertEqual(self.shot(self.stream)[0], 503)


class SnapshotsWithout(records.RecordTest):
    rule, node_set = "never/* formats=flv", {"snapshot.command": "there-is-no-such-program"}

    def test_without_the_program_it_is_501_with_the_reason(self):
        self.publish(loop=True)
        harness.wait_until(lambda: [s for s in self.node.streams() if s["name"] == self.stream])
        path = f"/api/v1/streams/{self.stream}/snapshot.jpg"
        answer = harness.wait_until(lambda: (lambda got: got if got[0] == 501 else None)(
            harness.http_request(self.node.admin, path)), 10)
        self.assertIn("snapshot.command", json.loads(answer[2])["detail"])


class SnapshotsThatHang(records.RecordTest):
    rule = "never/* formats=flv"

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        path = os.path.join(folder.name, "decoder")
        with open(path, "w") as file:
            file.write("#!/bin/sh\nexec >&-\nexec sleep 600\n")
        os.chmod(path, 0o755)
        cls.node_set = {"snapshot.command": path, "snapshot.timeout_ms": "1000"}
        super().setUpClass()

    def test_a_program_that_closes_its_output_and_goes_on_is_ended(self):
        self.publish(loop=True)
        path = f"/api/v1/streams/{self.stream}/snapshot.jpg"
        harness.wait_until(lambda: harness.http_request(self.node.admin, path, timeout_s=20)[0] == 504, 20)
        with open(f"/proc/{self.node.pid}/task/{self.node.pid}/children") as file:
            self.assertEqual(file.read().split(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
