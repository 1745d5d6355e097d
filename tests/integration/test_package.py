"""The Debian package of the release build, and whether its programs stay within what their units allow. test_image_root.py
installs it."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness
import image
import media
import swarm

UNITS = os.path.join(harness.ROOT, "deploy", "systemd")


def said(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}")
    return done.stdout


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="headwater-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.path = image.package(folder.name)

    def test_holds_programs_units_pages_and_configuration(self):
        files = {line.split()[5]: line.split()[:2] for line in said("dpkg-deb", "-c", self.path).splitlines()}
        for name in ("usr/bin/headwater-node", "usr/bin/headwater-scheduler", "usr/bin/headwater-tool",
                     "usr/lib/systemd/system/headwater-node.service", "usr/lib/systemd/system/headwater-scheduler.service",
                     "usr/share/man/man8/headwater-node.8.gz", "usr/share/man/man8/headwater-scheduler.8.gz",
                     "usr/share/man/man1/headwater-tool.1.gz", "etc/headwater/node.json", "etc/logrotate.d/headwater",
                     "usr/share/bash-completion/completions/headwater-tool", "usr/lib/sysusers.d/headwater.conf"):
            self.assertIn("./" + name, files)
        for name, (mode, owner) in files.items():
            self.assertEqual(owner, "root/root", name)
            self.assertEqual(mode[8], "-" if mode[0] != "l" else "w", f"{name}: others may write")
            self.assertTrue(name in ("./",) or name.startswith(("./usr/", "./etc/")), name)

    def test_depends_on_the_libraries_that_it_is_linked_to(self):
        depends = said("dpkg-deb", "-f", self.path, "Depends")
        for name in ("libc6", "libevent", "libssl3", "libnghttp2", "libhiredis", "libjansson4"):
            self.assertIn(name, depends)

    def test_every_file_below_etc_is_a_conffile(self):
        with tempfile.TemporaryDirectory(prefix="headwater-test-") as folder:
            said("dpkg-deb", "-R", self.path, folder)
            with open(os.path.join(folder, "DEBIAN", "conffiles"), encoding="ascii") as file:
                named = set(file.read().split())
            there = {os.path.join(top, name)[len(folder):] for top, _, names in os.walk(os.path.join(folder, "etc"))
                     for name in names}
        self.assertEqual(named, there)

    def test_lintian_has_nothing_to_say(self):
        said(harness.tool("lintian"), "--fail-on", "error,warning", "--allow-root", self.path)


class SystemCallsTest(harness.ClusterTest):
    """What the units' filters let through is enough: the programs under strace."""

    cluster_args = {"origins": 0, "edges": 0, "schedulers": 0}

    def allowed(self, program):
        """As systemd reads SystemCallFilter: the first line adds, those with ~ take away."""
        with open(os.path.join(UNITS, f"headwater-{program}.service.in"), encoding="utf-8") as file:
            lines = re.findall(r"^SystemCallFilter=(~?)(.*)$", file.read(), re.M)
        self.assertEqual([sign for sign, _ in lines], ["", "~"])
        sets = [set().union(*(self.expand(word) for word in words.split())) for _, words in lines]
        return sets[0] - sets[1]

    def expand(self, word):
        if not word.startswith("@"):
            return {word}
        names = [line.strip() for line in said("systemd-analyze", "syscall-filter", word).splitlines()[1:]]
        return set().union(*(self.expand(n) for n in names if n and not n.startswith("#")))

    def run_traced(self, program, *sets, use):
        trace = os.path.join(self.cluster.folder, f"{program}.trace")
        argv = [harness.tool("strace"), "-f", "-qq", "-e", "signal=none", "-o", trace,
                os.path.join(harness.BIN_DIR, f"headwater-{program}"), *(w for one in sets for w in ("--set", one))]
        made = harness.Process(program, argv, self.cluster.folder)
        try:
            use(made.wait_ready())
            with open(f"/proc/{made.pid}/task/{made.pid}/children", encoding="ascii") as file:
                [traced] = file.read().split()
            os.kill(int(traced), signal.SIGTERM)
            self.assertEqual(made.popen.wait(20), 0)
        finally:
            if made.is_alive():
                made.popen.kill()
                made.popen.wait()
        with open(trace, encoding="utf-8", errors="replace") as file:
            return set(re.findall(r"^\d+ +([a-z_0-9]+)\(", file.read(), re.M)) - {"execve"}

    def check(self, program, *sets, use):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        used = self.run_traced(program, *sets, use=use)
        self.assertIn("epoll_wait", used)
        self.assertEqual(used - self.allowed(program), set())

    def use_node(self, ready):
        rtmp, http, admin = (harness.parse_address(ready[key]) for key in ("rtmp", "http", "admin"))
        with swarm.Swarm() as flock:
            flock.publish(rtmp, "live/a", swarm.Clip(media.clip("small")))
            viewers = [flock.play_flv(http, "live/a"), flock.play_rtmp(rtmp, "live/a")]
            flock.until(lambda: all(v.log.n_video > 10 for v in viewers), 20, "they play")
            body = '{"net":"192.0.2.0/24","reason":"x"}'
            status = harness.http_request(admin, "/api/v1/bans", "POST", {"Content-Type": "application/json"}, body)[0]
            self.assertEqual(status, 200)
            harness.http_request(admin, "/metrics")
            flock.until(lambda: os.listdir(self.path("records")), 20, "a record")

    def path(self, name):
        return os.path.join(self.cluster.folder, name)

    def test_node_stays_within_its_filter(self):
        os.mkdir(self.path("records"))
        self.check("node", "rtmp.listen=127.0.0.1:0", "http.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0",
                   f"state.file={self.path('state.json')}", f"record.dir={self.path('records')}",
                   "record.rules=live formats=mp4", "record.min_free_bytes=0", f"access_log.file={self.path('access.log')}",
                   f"handover.socket={self.path('handover')}", "cluster.schedulers=http://localhost:1",
                   use=self.use_node)

    def test_scheduler_stays_within_its_filter(self):
        redis = harness.Redis(self.cluster.folder)
        self.addCleanup(lambda: (redis.process.popen.kill(), redis.process.popen.wait()))

        def use(ready):
            harness.wait_until(lambda: b'"ok"' in harness.http_request(harness.parse_address(ready["http"]), "/readyz")[2], 20)
        self.check("scheduler", "http.listen=127.0.0.1:0", "store.type=redis", f"store.redis.url={redis.url()}", use=use)


if __name__ == "__main__":
    unittest.main()
