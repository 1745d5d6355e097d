"""Containers of the image: deploy/Dockerfile carried out in a bare Debian, its entry point as process 1, no rights, nothing
to write to."""

import os
import signal
import tempfile
import unittest

import harness
import image
import media
import swarm

TOKEN = "image-test-node-token-0123456789"


def addresses(log, *keys):
    line = next(one for one in log.splitlines() if "msg=ready" in one)
    said = dict(word.split("=", 1) for word in line.split() if "=" in word)
    return [harness.parse_address(said[key]) for key in keys]


class ContainerTest(image.ImageTest):
    def node(self, **env):
        more = {"HEADWATER_RTMP__LISTEN": "127.0.0.1:0", "HEADWATER_HTTP__LISTEN": "127.0.0.1:0",
                "HEADWATER_ADMIN__LISTEN": f"127.0.0.1:{harness.free_port()}", **env}
        made = self.image.run("node", env=more)
        made.wait_log("msg=ready")
        self.addCleanup(made.kill)
        self.image.env = {"ADMIN_URL": "http://" + more["HEADWATER_ADMIN__LISTEN"].replace("0.0.0.0", "127.0.0.1")}
        return made

    def test_is_no_root_and_can_write_nothing(self):
        made = self.node()
        with open(f"/proc/{made.pid()}/status", encoding="ascii") as file:
            status = dict(line.split(":\t", 1) for line in file.read().splitlines())
        self.assertEqual(status["Uid"].split()[0], "10001")
        self.assertEqual([int(status[key], 16) for key in ("CapPrm", "CapEff", "CapBnd")], [0, 0, 0])
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["Name"], "headwater-node", "the script has made room for the program")
        self.assertNotEqual(made.run("sh", "-c", "echo x >/usr/bin/x")[0], 0)
        self.assertNotEqual(made.run("sh", "-c", "echo x >/var/lib/headwater/x")[0], 0)

    def test_node_plays_what_is_published(self):
        rtmp, http = addresses(self.node().log(), "rtmp", "http")
        with swarm.Swarm() as flock:
            flock.publish(rtmp, "live/a", swarm.Clip(media.clip("small")))
            viewer = flock.play_flv(http, "live/a")
            flock.until(lambda: viewer.log.n_video > 10, 20, "it plays")

    def test_health_is_that_of_the_program(self):
        made = self.node()
        self.assertEqual(made.run(*self.image.health), (0, ""))
        made.signal(signal.SIGSTOP)
        self.assertNotEqual(made.run(*self.image.health)[0], 0)
        made.signal(signal.SIGCONT)
        harness.wait_until(lambda: made.run(*self.image.health)[0] == 0, 10)

    def test_stop_signal_ends_process_one(self):
        made = self.node()
        made.signal(self.image.stop)
        self.assertEqual(made.wait(), 0)
        self.assertIn("msg=stopped", made.log())

    def test_drain_orders_it_with_the_token_of_the_secret(self):
        with tempfile.TemporaryDirectory(prefix="headwater-test-") as folder:
            os.chmod(folder, 0o755)
            for name, text in (("node-token", TOKEN + "\n"), ("admin-tokens", f"people admin {TOKEN[::-1]}\n")):
                path = os.path.join(folder, name)
                with open(path, "w", encoding="ascii") as file:
                    file.write(text)
                os.chown(path, 0, 10001)  # as a kubelet does with fsGroup
                os.chmod(path, 0o440)
            port = harness.free_port()
            made = self.image.run("node", mounts=[(folder, "/run/secrets/headwater")], env={
                "HEADWATER_RTMP__LISTEN": "127.0.0.1:0", "HEADWATER_HTTP__LISTEN": "127.0.0.1:0",
                "HEADWATER_ADMIN__LISTEN": f"0.0.0.0:{port}", "HEADWATER_CLUSTER__NODE_ID": "edge-1",
                "HEADWATER_ADMIN__TOKENS_FILE": "/run/secrets/headwater/admin-tokens",
                "HEADWATER_CLUSTER__TOKEN_FILE": "/run/secrets/headwater/node-token"})
            self.addCleanup(made.kill)
            made.wait_log("msg=ready")
            self.image.env = {"ADMIN_URL": f"http://127.0.0.1:{port}", "TOKEN_FILE": "/nowhere"}
            self.assertNotEqual(made.run("headwater-entrypoint", "drain", "0")[0], 0)
            self.image.env.pop("TOKEN_FILE")
            self.assertEqual(made.run("headwater-entrypoint", "drain", "1"), (0, ""))
            made.wait_log("msg=draining node=edge-1")
            self.assertEqual(made.wait(), 0)

    def test_scheduler_and_tool_are_in_it(self):
        port = harness.free_port()
        made = self.image.run("scheduler", env={"HEADWATER_HTTP__LISTEN": f"127.0.0.1:{port}"})
        self.addCleanup(made.kill)
        made.wait_log("msg=ready")
        self.image.env = {"ADMIN_URL": f"http://127.0.0.1:{port}"}
        self.assertEqual(made.run(*self.image.health), (0, ""))
        made.signal(signal.SIGTERM)
        self.assertEqual(made.wait(), 0)
        tool = self.image.run("tool", "--version")
        self.assertEqual(tool.wait(), 0, tool.log())
        self.assertRegex(tool.log(), r"^headwater-tool [0-9.]+ build [0-9a-f]{40}\n$")

    def test_what_it_is_not_for_is_refused(self):
        for args in (("bash",), ("",), ("linger", "x")):
            made = self.image.run(*args)
            self.assertEqual(made.wait(), 2, made.log())
            self.assertIn("expected", made.log())


class PackageTest(image.ImageTest):
    """The package in the bare Debian that the image is made of."""

    def test_is_installed_with_a_user_and_without_starting_anything(self):
        self.assertIn("headwater", self.image.inside("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}", "headwater"))
        self.assertIn("ii", self.image.inside("sh", "-c", "dpkg -l headwater | tail -n 1"))
        self.assertEqual(self.image.inside("stat", "-c", "%U:%G %a", "/etc/headwater").split(), ["root:headwater", "750"])
        self.assertEqual(self.image.inside("dpkg", "--verify", "headwater"), "")
        for program in ("node", "scheduler"):
            self.assertIn("ok", self.image.inside(f"headwater-{program}", "--check-config", "-c",
                                                  f"/etc/headwater/{program}.json").replace("is valid", "ok"))

    def test_what_an_administrator_changed_stays_until_it_is_purged(self):
        self.image.inside("sh", "-c", "echo '{}' >/etc/headwater/node.json")
        self.image.inside("dpkg", "--remove", "headwater")
        self.assertEqual(self.image.inside("cat", "/etc/headwater/node.json"), "{}\n")
        self.assertEqual(self.image.inside("sh", "-c", "ls /usr/bin | grep headwater- | grep -v entrypoint || true"), "")
        self.image.inside("dpkg", "--purge", "headwater")
        self.assertEqual(self.image.inside("sh", "-c", "ls -d /etc/headwater 2>/dev/null || true"), "")


if __name__ == "__main__":
    unittest.main()
