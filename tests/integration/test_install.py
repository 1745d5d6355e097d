"""What cmake --install puts where, and that it is good: units, configuration, manual pages, completion, rotation of logs; and
what a service manager is told."""

import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

import harness
import media
import swarm

BUILD = os.path.dirname(harness.BIN_DIR)
DEPLOY = os.path.join(harness.ROOT, "deploy")
PROGRAMS = ("node", "scheduler", "tool")
MOST_EXPOSED = 20  # tenths, as systemd-analyze counts: "OK" ends there


def said(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, **harness.sanitizer_env(), **more.pop("env", {})}, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}")
    return done.stdout


def program(name):
    return os.path.join(harness.BIN_DIR, f"headwater-{name}")


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="headwater-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def read(self, *names):
        with open(self.path(*names), encoding="utf-8") as file:
            return file.read()


class InstallTest(Case):
    def install(self, prefix, **env):
        return said("cmake", "--install", BUILD, "--prefix", prefix, env=env)

    def test_puts_everything_below_the_prefix(self):
        prefix = self.path("opt")
        self.install(prefix)
        for name in PROGRAMS:
            self.assertRegex(said(os.path.join(prefix, "bin", f"headwater-{name}"), "--version"), " build [0-9a-f]{40}\n$")
        for name in ("node", "scheduler"):
            unit = self.read("opt", "lib", "systemd", "system", f"headwater-{name}.service")
            self.assertIn(f"ExecStart={prefix}/bin/headwater-{name} -c {prefix}/etc/headwater/{name}.json\n", unit)
            said(program(name), "--check-config", "-c", self.path("opt", "etc", "headwater", f"{name}.json"))
        for name in ("etc/logrotate.d/headwater", "lib/sysusers.d/headwater.conf", "share/doc/headwater/copyright",
                     "share/bash-completion/completions/headwater-node", "share/doc/headwater/examples/node.json"):
            self.assertTrue(os.path.exists(self.path("opt", name)), name)

    def test_leaves_a_configuration_that_is_there(self):
        prefix = self.path("opt")
        self.install(prefix)
        with open(self.path("opt", "etc", "headwater", "node.json"), "w", encoding="ascii") as file:
            file.write("{}")
        self.install(prefix)
        self.assertEqual(self.read("opt", "etc", "headwater", "node.json"), "{}")

    def test_of_a_distribution_goes_to_etc(self):
        self.install("/usr", DESTDIR=self.folder)
        self.assertTrue(os.path.exists(self.path("usr", "bin", "headwater-node")))
        self.assertTrue(os.path.exists(self.path("etc", "headwater", "node.json")))
        self.assertEqual(sorted(os.listdir(self.folder)), ["etc", "usr"])

    def test_units_are_good_and_hardened(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        self.install(self.path("opt"))
        for name in ("node", "scheduler"):
            unit = self.path("opt", "lib", "systemd", "system", f"headwater-{name}.service")
            self.assertEqual(said("systemd-analyze", "verify", "--man=no", unit), "")
            said("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)
            text = self.read("opt", "lib", "systemd", "system", f"headwater-{name}.service")
            for line in ("Type=notify", "User=headwater", "NoNewPrivileges=yes", "WatchdogSec=30", "LimitNOFILE=1048576"):
                self.assertIn(line + "\n", text)

    def test_unit_gives_a_drain_its_time(self):
        with open(os.path.join(DEPLOY, "systemd", "headwater-node.service.in"), encoding="utf-8") as file:
            stop_s = int(re.search(r"^TimeoutStopSec=(\d+)$", file.read(), re.M)[1])
        keys = said(program("node"), "--help-config")
        self.assertGreaterEqual(stop_s, int(re.search(r"^drain_timeout_s = (\d+)$", keys, re.M)[1]) + 15)

    def test_version_is_the_build_id_of_the_file(self):
        for name in PROGRAMS:
            note = re.search(r"Build ID: ([0-9a-f]+)", said("readelf", "-n", program(name)))[1]
            self.assertTrue(said(program(name), "--version").endswith(f" build {note}\n"))


class PagesTest(Case):
    def setUp(self):
        super().setUp()
        said(os.path.join(DEPLOY, "man", "make.sh"), harness.BIN_DIR, self.folder)

    def shown(self, page):
        text = said("man", "-l", self.path(page), env={"MANWIDTH": "200", "MAN_KEEP_FORMATTING": "", "LC_ALL": "C.UTF-8"})
        return re.sub(r".\x08", "", text)

    def test_say_all_that_the_programs_say(self):
        for name, page in (("node", "headwater-node.8"), ("scheduler", "headwater-scheduler.8")):
            text = self.shown(page)
            keys = re.findall(r"^([a-z][\w.]*) = ", said(program(name), "--help-config"), re.M)
            self.assertGreater(len(keys), 20)
            for key in keys:
                self.assertRegex(text, rf"(?m)^ +{re.escape(key)} = ")
            for flag in re.findall(r"^  (-[\w-]+)", said(program(name), "--help"), re.M):
                self.assertRegex(text, rf"(?m)^ +{flag}\b")
        tool = self.shown("headwater-tool.1")
        for command in re.findall(r"^  ([a-z]+) ", said(program("tool"), "--help"), re.M):
            self.assertIn(f"COMMAND {command.upper()}\n", tool)
            self.assertRegex(tool, rf"usage: headwater-tool {command}\b")

    def test_are_good_roff(self):
        for page in os.listdir(self.folder):
            self.assertEqual(said("groff", "-man", "-Tutf8", "-ww", "-z", self.path(page)), "", page)


class CompletionTest(unittest.TestCase):
    def complete(self, *words):
        script = ('. "$0"; PATH=$1:$PATH; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                  'f=$(complete -p "${1##*/}"); f=${f#*-F }; "${f%% *}"; printf "%s\\n" "${COMPREPLY[@]}"')
        return said("bash", "-c", script, os.path.join(DEPLOY, "completion", "headwater-tool"), harness.BIN_DIR,
                    *words).split()

    def test_gives_commands_options_and_keys(self):
        self.assertEqual(self.complete("headwater-tool", "rel"), ["relay"])
        self.assertIn("push", self.complete("headwater-tool", ""))
        self.assertEqual(self.complete("headwater-tool", "push", "--lo"), ["--loop"])
        self.assertEqual(self.complete("headwater-node", "--set", "cluster.advertise.public.rtmp"),
                         ["cluster.advertise.public.rtmp=", "cluster.advertise.public.rtmps="])
        self.assertEqual(self.complete("headwater-scheduler", "--check"), ["--check-config"])
        self.assertIn("/etc/passwd", self.complete("headwater-node", "-c", "/etc/passw"))


@contextlib.contextmanager
def frozen(pid, name):
    """One thread of a process stands still: a debugger has it."""
    attach, detach, any_child = 16, 17, 0x40000000  # PTRACE_ATTACH, PTRACE_DETACH, __WALL
    [tid] = [int(t) for t in os.listdir(f"/proc/{pid}/task")
             if pathlib.Path(f"/proc/{pid}/task/{t}/comm").read_text(encoding="ascii").strip() == name]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(attach, tid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")
    try:
        os.waitpid(tid, any_child)
        yield
    finally:
        libc.ptrace(detach, tid, None, None)


class NotifyTest(Case):
    """A socket as a service manager has it."""

    def setUp(self):
        super().setUp()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(self.path("notify"))
        self.socket.settimeout(20)

    def start(self, name, *sets):
        env = {"NOTIFY_SOCKET": self.path("notify"), "WATCHDOG_USEC": "400000"}
        argv = [program(name), *(word for one in sets for word in ("--set", one))]
        made = harness.Process(name, argv, self.folder, {**harness.sanitizer_env(), **env})
        self.addCleanup(lambda: made.is_alive() and made.popen.kill())
        return made

    def hear(self):
        return self.socket.recv(4096).decode()

    def check(self, made):
        self.assertEqual(self.hear(), "READY=1")
        made.wait_log("msg=ready", 1)
        for _ in range(4):
            self.assertEqual(self.hear(), "WATCHDOG=1")
        made.popen.send_signal(signal.SIGSTOP)
        self.socket.settimeout(1)
        with self.assertRaises(TimeoutError):
            for _ in range(3):  # what was under way
                self.hear()
        made.popen.send_signal(signal.SIGCONT)
        self.socket.settimeout(20)
        made.popen.send_signal(signal.SIGTERM)
        while True:
            word = self.hear()
            if word != "WATCHDOG=1":
                break
        self.assertEqual(word, "STOPPING=1")
        self.assertEqual(made.popen.wait(20), 0)

    def test_node_tells_that_it_is_ready_lives_and_stops(self):
        self.check(self.start("node", "rtmp.listen=127.0.0.1:0", "http.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0"))

    def test_node_says_nothing_while_one_of_its_loops_hangs(self):
        made = self.start("node", "loops=2", "rtmp.listen=127.0.0.1:0", "http.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0")
        self.assertEqual([self.hear(), self.hear()], ["READY=1", "WATCHDOG=1"])
        with frozen(made.pid, "media/1"):
            self.socket.settimeout(1)
            with self.assertRaises(TimeoutError):
                for _ in range(3):  # what was under way
                    self.hear()
            self.socket.settimeout(20)
        self.assertEqual(self.hear(), "WATCHDOG=1")
        made.popen.send_signal(signal.SIGTERM)
        self.assertEqual(made.popen.wait(20), 0)

    def test_scheduler_tells_that_it_is_ready_lives_and_stops(self):
        self.check(self.start("scheduler", "http.listen=127.0.0.1:0"))


class RotateTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0}

    def test_a_rotated_log_goes_on_in_a_new_file(self):
        with tempfile.TemporaryDirectory(prefix="headwater-test-") as folder:
            log = os.path.join(folder, "access.log")
            node = self.start(log)
            self.play(node)
            harness.wait_until(lambda: os.path.getsize(log) > 0, 10, "a line")
            self.rotate(folder, node)
            first = os.stat(log + ".1")
            self.play(node)
            harness.wait_until(lambda: os.path.getsize(log) > 0, 10, "a line in the new file")
            self.assertEqual(os.stat(log + ".1").st_size, first.st_size, "and none in the old one")

    def start(self, log):
        node = self.cluster.make_node("origin", 7, **{"access_log.file": log})
        self.cluster.origins.append(node)
        return node.learn()

    def play(self, node):
        with swarm.Swarm() as flock:
            publisher = flock.publish(node.rtmp, "live/a", swarm.Clip(media.clip("small")))
            viewer = flock.play_flv(node.http, "live/a")
            flock.until(lambda: viewer.log.n_video > 5, 10, "it plays")
            viewer.close()
            publisher.close()

    def rotate(self, folder, node):
        """By logrotate and the file that is installed; systemctl alone is another one."""
        with open(os.path.join(DEPLOY, "logrotate", "headwater"), encoding="utf-8") as file:
            text = file.read().replace("/var/log/headwater", folder)
        text = re.sub(r"^ +(su|create) .*\n", lambda m: "    create 0640\n" if m[1] == "create" else "", text, flags=re.M)
        conf = os.path.join(folder, "logrotate.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(conf, 0o644)
        systemctl = os.path.join(folder, "systemctl")
        with open(systemctl, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\n[ "$*" != "kill --signal=HUP --kill-whom=main headwater-node.service" ] || kill -HUP {node.pid}\n')
        os.chmod(systemctl, 0o755)
        said(shutil.which("logrotate") or "/usr/sbin/logrotate", "--force", "--state", os.path.join(folder, "state"), conf,
             env={"PATH": f"{folder}:{os.environ['PATH']}"})
        harness.wait_until(lambda: os.path.exists(os.path.join(folder, "access.log")), 5, "a new file")


if __name__ == "__main__":
    unittest.main()
