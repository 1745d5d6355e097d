"""Recording when things go wrong: kill -9, a full or read-only disk, broken indexes, retention."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import harness
import media
import records
from test_replace import replace
from records import FORMATS, decode, listed, probe, url, wait_listed, wait_written

GOP_S = 1  # of the clips


class Crash(records.RecordTest):
    def stop(self):
        self.assertEqual(self.node.stop(), 0)
        self.cluster.processes.remove(self.node)

    def restart(self):
        self.stop()
        return self.cluster.restart_node(self.node)

    def test_kill_9_loses_the_last_gop_at_most(self):
        self.publish(seconds=6, loop=True)
        wait_written(self.node, self.stream, 4500)
        said = records.running(self.node, self.stream)
        self.node.kill()
        parts = [name for name in records.files(self.folder) if name.endswith(".part")]
        self.assertEqual(len(parts), len(FORMATS), parts)
        node = self.cluster.restart_node(self.node)
        got = {r["format"]: r for r in wait_listed(node, self.stream, len(FORMATS))}
        for name in FORMATS:
            self.assertEqual(got[name]["reason"], "recovered", name)
            told = probe(url(node, got[name]))
            self.assertGreaterEqual(told["duration"], said[name]["duration_ms"] / 1000 - GOP_S - 0.1, name)
            self.assertGreaterEqual(decode(url(node, got[name]), strict=name != "ts"), 25 * 3, name)
        for name in ("flv", "mp4"):
            self.assertGreater(decode(url(node, got[name]), 2), 25, name)
        self.assertFalse([name for name in records.files(self.folder) if name.endswith(".part")])
        self.assertEqual(node.metrics().total("headwater_record_recovered_total"), len(FORMATS))

    def test_files_cut_anywhere_are_recovered_or_go(self):
        self.publish("small", 4).popen.wait(60)
        got = {r["format"]: r for r in wait_listed(self.node, self.stream, len(FORMATS))}
        folder = os.path.join(self.folder, "cut", "x")
        os.makedirs(folder)
        seq, made = 0, {}
        for name in ("flv", "ts", "mp4"):
            with open(os.path.join(self.folder, got[name]["id"]), "rb") as file:
                data = file.read()
            if name == "mp4":  # as it is before its finish: fragments alone
                size = int.from_bytes(data[:4], "big")
                end = size + int.from_bytes(data[size + 8:size + 16], "big")
                data = data[:size] + b"\0\0\0\x10free" + bytes(8) + data[size + 16:end]
            for share in (1, 3, 50, 97, 100):
                seq += 1
                file_name = f"20260101T000000Z-{seq:06}.{name}"
                made[file_name] = share
                with open(os.path.join(folder, file_name + ".part"), "wb") as file:
                    file.write(data[:len(data) * share // 100])
        node = self.restart()
        harness.wait_until(lambda: not [f for f in os.listdir(folder) if f.endswith(".part")], 10, "all are recovered")
        found = {r["file"]: r for r in listed(node, "cut/x")}
        for file_name, share in made.items():
            if share >= 50:
                self.assertIn(file_name, found)
            if file_name in found and share >= 50:  # of a few packets ffprobe is not sure that they are TS
                probe(os.path.join(folder, file_name))
        self.assertEqual(set(found), {f for f in os.listdir(folder) if f != "index.jsonl"})

    def test_a_broken_index_is_made_anew(self):
        self.publish("small", 1).popen.wait(60)
        got = wait_listed(self.node, self.stream, len(FORMATS))
        harness.wait_until(lambda: not [s for s in self.node.streams() if s["name"] == self.stream])
        self.stop()
        path = os.path.join(self.folder, self.stream, "index.jsonl")
        with open(path) as file:
            lines = file.read().splitlines()
        with open(path, "w") as file:
            file.write("\n".join([lines[0], "{\"file\": 7}", lines[1][:40]]))
        os.unlink(os.path.join(self.folder, got[0]["id"]))
        node = self.cluster.restart_node(self.node)
        wait_listed(node, self.stream, len(FORMATS) - 1)
        harness.wait_until(lambda: [r["file"] for r in listed(node, self.stream)] == [r["file"] for r in got[1:]], 10,
                           lambda: listed(node, self.stream))
        self.assertEqual([line["file"] for line in records.index(self.folder, self.stream)], [r["file"] for r in got[1:]])
        for before, after in zip(got[1:], listed(node, self.stream)):
            self.assertEqual((before["bytes"], before["video"], before["audio"]),
                             (after["bytes"], after["video"], after["audio"]))
            self.assertAlmostEqual(before["duration_ms"], after["duration_ms"], delta=150)

    def test_links_are_not_followed(self):
        outside = tempfile.mkdtemp(dir=self.cluster.folder)
        os.symlink(outside, os.path.join(self.folder, "linked"))
        self.publish("small", 1, "linked/x").popen.wait(60)
        os.makedirs(os.path.join(self.folder, "inner"), exist_ok=True)
        os.symlink(outside, os.path.join(self.folder, "inner", "y"))
        self.publish("small", 1, "inner/y").popen.wait(60)
        self.assertEqual(os.listdir(outside), [])
        self.node.wait_log("cannot record")
        os.unlink(os.path.join(self.folder, "linked"))


class Replaced(records.RecordTest):
    """Two processes in one folder."""

    rule, node_set = "* formats=flv|mp4|hls segment_s=1", {"drain_timeout_s": "60"}

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.node_set = {**cls.node_set, "handover.socket": os.path.join(folder.name, "socket")}
        super().setUpClass()

    def test_the_new_process_leaves_alone_what_the_old_one_writes(self):
        publisher = self.publish(loop=True)
        wait_written(self.node, self.stream, 2000, ("flv", "mp4", "hls"))
        begun = {r["file"].removesuffix(".part") for r in records.running(self.node, self.stream).values()}
        fresh = replace(self.cluster, self.node)
        fresh.wait_ready()
        self.node.wait_log("draining")
        self.node.expect_death = True  # it leaves by itself
        self.cluster.origins[0] = fresh.learn()
        time.sleep(1)  # for a recovery that must not be
        self.assertLessEqual({name + ".part" for name in begun}, set(os.listdir(os.path.join(self.folder, self.stream))))
        publisher.kill()
        got = harness.wait_until(lambda: (lambda names: names if begun <= names else None)(
            {r["file"] for r in listed(fresh, self.stream)}), 20, lambda: listed(fresh, self.stream))
        self.assertLessEqual(begun, got)
        for record in listed(fresh, self.stream):
            if record["file"] in begun:
                self.assertEqual(record["reason"], "publisher")
                self.assertGreaterEqual(probe(os.path.join(self.folder, record["id"]))["duration"], 2.5)
        self.assertEqual(fresh.metrics().total("headwater_record_recovered_total"), 0)


class NoRoom(records.RecordTest):
    """A limit of free space that is never met, and one that is."""

    rule, node_set = "* formats=flv", {"record.min_free_bytes": str(1 << 49)}

    def test_without_room_nothing_is_written_and_it_is_said_once(self):
        self.publish(loop=True)
        harness.wait_until(lambda: records.running(self.node, self.stream).get("flv", {}).get("state") == "no_room")
        self.assertIn("min_free_bytes", records.running(self.node, self.stream)["flv"]["last_error"])
        self.assertEqual(self.node.metrics().total("headwater_record_paused"), 1)
        self.assertEqual(records.files(self.folder), [])
        self.assertEqual(len(self.node.log_lines("no room")), 1)


def mount_small(size):
    """A folder of a disk of its own; None when this user may not mount."""
    folder = tempfile.mkdtemp(prefix="headwater-small-")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True).returncode:
        os.rmdir(folder)
        return None
    return folder


class FullDisk(records.RecordTest):
    """A disk of 2 MB where it can be had; else a limit on the size of files, which gives the same error's cousin."""

    @classmethod
    def setUpClass(cls):
        cls.disk = mount_small("2m")
        if cls.disk:
            cls.node_set = {"record.dir": cls.disk}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            if cls.disk:
                subprocess.run(["umount", "-l", cls.disk], check=True)
                os.rmdir(cls.disk)

    rule = "* formats=flv|mp4"

    def fill(self):
        if self.disk:
            about = os.statvfs(self.disk)
            with open(os.path.join(self.disk, "ballast"), "wb") as file:
                file.write(bytes(about.f_bavail * about.f_frsize - 300000))
        else:
            limit = str(300000)
            subprocess.run([harness.tool("prlimit"), "--pid", str(self.node.pid), f"--fsize={limit}:{limit}"], check=True)

    def make_room(self):
        if self.disk:
            os.unlink(os.path.join(self.disk, "ballast"))
        else:
            subprocess.run([harness.tool("prlimit"), "--pid", str(self.node.pid), "--fsize=unlimited"], check=False)

    def test_what_was_written_stays_good_and_it_goes_on_with_room(self):
        self.fill()
        self.publish(loop=True)
        harness.wait_until(lambda: any(r["state"] == "error" for r in records.running(self.node, self.stream).values()), 20)
        for record in wait_listed(self.node, self.stream, 2):
            self.assertEqual(record["reason"], "error")
            self.assertGreater(decode(url(self.node, record), strict=False), 0)
        self.assertGreater(self.node.metrics().total("headwater_record_errors_total"), 0)
        if self.disk:
            self.make_room()
            wait_written(self.node, self.stream, 500, ("flv",), 20)
        self.assertIsNotNone(records.running(self.node, self.stream)["flv"]["last_error"])
        self.assertTrue(self.node.is_alive())


class ReadOnly(records.RecordTest):
    rule = "* formats=flv"

    def test_a_folder_that_cannot_be_written_is_said_and_the_stream_plays_on(self):
        blocker = os.path.join(self.folder, "live")
        with open(blocker, "w"):  # root may write anywhere: a file is in the way instead
            pass
        self.publish(loop=True)
        harness.wait_until(lambda: records.running(self.node, self.stream).get("flv", {}).get("state") == "error")
        self.assertTrue(records.running(self.node, self.stream)["flv"]["last_error"])
        self.assertEqual(len(self.node.log_lines("cannot record")), 1)
        os.unlink(blocker)
        wait_written(self.node, self.stream, 500, ("flv",), 20)

    def test_a_folder_that_is_none_stops_the_start_with_the_reason(self):
        path = os.path.join(self.cluster.folder, "file")
        with open(path, "w"):
            pass
        node = harness.program("headwater-node", {"rtmp.listen": "127.0.0.1:0", "http.listen": "", "admin.listen": "",
                                                  "record.dir": path}, self.cluster.folder, "none")
        self.assertNotEqual(node.popen.wait(20), 0)
        self.assertIn("record.dir", node.log())


class Again(records.RecordTest):
    """What could not be finished is, once that is possible: nobody need start the node again."""

    rule = "* formats=flv|hls segment_s=1"

    def end_with(self, blocks):
        """The publisher leaves while directories are where files are to be: as a full disk, they let nothing be written."""
        publisher = self.publish(loop=True)
        wait_written(self.node, self.stream, 2000, ("flv", "hls"))
        folder = os.path.join(self.folder, self.stream)
        paths = [os.path.join(folder, name) for name in blocks(records.running(self.node, self.stream))]
        for path in paths:
            os.mkdir(path)
        publisher.kill()
        harness.wait_until(lambda: len(self.node.log_lines(f"stream={self.stream} file=")) >= 2, 20, "both are said")
        for path in paths:
            os.rmdir(path)
        got = {r["format"]: r for r in wait_listed(self.node, self.stream, 2)}
        for record in got.values():
            self.assertGreater(decode(url(self.node, record), strict=False), 25)
        self.assertFalse([name for name in os.listdir(folder) if name.endswith(".part")])
        self.assertEqual(len(records.index(self.folder, self.stream)), 2)
        return got

    def test_a_file_that_could_not_get_its_name_gets_it_later(self):
        got = self.end_with(lambda running: [r["file"].removesuffix(".part") for r in running.values()])
        self.assertEqual({r["reason"] for r in got.values()}, {"recovered"})

    def test_an_index_that_could_not_be_written_is_later(self):
        self.end_with(lambda running: ["index.jsonl"])


class Retention(records.RecordTest):
    """By size; by age nothing is younger than a second."""

    rule, node_set = "* formats=flv|hls split_s=1 segment_s=1", {"record.max_bytes": "150000"}

    def test_the_oldest_go_and_what_is_written_stays(self):
        self.publish("small", 10, loop=True)
        harness.wait_until(lambda: self.node.metrics().total("headwater_record_removed_total", reason="size") >= 4, 40)
        wait_written(self.node, self.stream, 100, ("flv",))
        got = harness.wait_until(lambda: (lambda r: r if sum(x["bytes"] for x in r) < 250000 else None)(
            listed(self.node, self.stream)), 20)
        numbers = [int(r["file"].split("-")[1].split(".")[0]) for r in got]
        self.assertGreater(min(numbers), 4)
        self.assertTrue(records.running(self.node, self.stream)["flv"]["file"])
        on_disk = {name for name in os.listdir(os.path.join(self.folder, self.stream)) if name.endswith(".m3u8")}
        self.assertLessEqual({r["file"] for r in got if r["format"] == "hls"}, on_disk)


class Age(records.RecordTest):
    rule, node_set = "* formats=flv split_s=1", {"record.max_age_s": "3"}

    def test_the_old_go(self):
        self.publish("small", 10, loop=True)
        harness.wait_until(lambda: self.node.metrics().total("headwater_record_removed_total", reason="age") >= 2, 40)


if __name__ == "__main__":
    unittest.main(verbosity=2)
