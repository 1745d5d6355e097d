"""deploy/Dockerfile, .dockerignore and deploy/compose.yaml, as far as they can be read: what a linter would say, and what the
programs say to what they are given. test_image_root.py carries the Dockerfile out."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import harness
import image
import k8s

DEPLOY = os.path.join(harness.ROOT, "deploy")


def from_yaml(path):
    script = 'console.log(JSON.stringify(require("yaml").parse(require("fs").readFileSync(0, "utf8"), {merge: true})))'
    with open(path, encoding="utf-8") as file:
        done = subprocess.run([harness.tool("node"), "--input-type=commonjs", "-e", script], cwd=k8s.FOLDER, stdin=file,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


class DockerfileTest(unittest.TestCase):
    def setUp(self):
        self.stages = image.stages()
        self.last = self.stages[-1]

    def words(self, word, stage=None):
        return [text for w, text in (stage or self.last) if w == word]

    def test_has_a_stage_that_builds_and_one_that_runs(self):
        self.assertEqual(len(self.stages), 2)
        for stage in self.stages:
            self.assertTrue(stage[0][1].startswith("debian:${DEBIAN}"), stage[0])
        self.assertIn(("ARG", "DEBIAN=bookworm-slim"), image.instructions())

    def test_runs_as_a_number_that_is_not_root(self):
        [user] = self.words("USER")
        self.assertRegex(user, r"^[1-9]\d+:[1-9]\d+$")
        uids = {spec["securityContext"]["runAsUser"] for _, c, spec in k8s.objects("1.20", "minimal").containers()}
        self.assertEqual(uids, {int(user.split(":")[0])}, "as in Kubernetes")

    def test_starts_what_it_has_without_a_shell(self):
        for word in ("ENTRYPOINT", "CMD"):
            [text] = self.words(word)
            self.assertIsInstance(json.loads(text), list)
        [health] = self.words("HEALTHCHECK")
        self.assertEqual(json.loads(health[health.index("CMD") + 3:])[0], json.loads(self.words("ENTRYPOINT")[0])[0])
        self.assertEqual(self.words("STOPSIGNAL"), ["SIGTERM"])

    def test_leaves_no_lists_of_packages_and_takes_nothing_from_elsewhere(self):
        for text in self.words("RUN"):
            if "apt-get install" in text:
                for needed in ("apt-get update", "--no-install-recommends", "-y", "rm -rf /var/lib/apt/lists/*"):
                    self.assertIn(needed, text)
        for stage in self.stages:
            self.assertEqual(self.words("ADD", stage), [])
            for text in self.words("RUN", stage):
                self.assertNotRegex(text, r"https?://|\bsudo\b|curl .*\|")

    def test_exposes_the_ports_of_the_defaults(self):
        exposed = set(self.words("EXPOSE")[0].split())
        ports = set()
        for program in ("node", "scheduler"):
            with open(os.path.join(harness.ROOT, "conf", f"{program}.json"), encoding="utf-8") as file:
                ports |= set(re.findall(r'^\s*"(?:https_)?listen": "[^"]*:(\d+)"', file.read(), re.M))
        with open(os.path.join(harness.ROOT, "conf", "k8s", "scheduler.json"), encoding="utf-8") as file:
            ports |= set(re.findall(r"0\.0\.0\.0:(\d+)", file.read()))
        self.assertEqual(exposed, ports - {"8490"}, "the scheduler's TLS port alone is left out")

    def test_script_is_good_shell(self):
        for script in ("image/entrypoint.sh", "k8s/deletion-cost/deletion-cost.sh", "k8s/secrets.sh", "man/make.sh"):
            subprocess.run(["bash", "-n", os.path.join(DEPLOY, script)], check=True)
            self.assertTrue(os.access(os.path.join(DEPLOY, script), os.X_OK), script)
        for script in ("k8s/redis/redis.sh", "debian/postinst", "debian/prerm", "debian/postrm"):
            subprocess.run(["sh", "-n", os.path.join(DEPLOY, script)], check=True)

    def test_context_has_what_the_build_takes_and_no_more(self):
        files = image.context()
        self.assertGreater(len(files), 200)
        for path in files:
            self.assertFalse(path.startswith((".git/", "tests/integration/", "tests/unit/", "deploy/k8s/")), path)
        with tempfile.TemporaryDirectory(prefix="headwater-test-") as folder:
            for path in files:
                target = os.path.join(folder, "src", path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy(os.path.join(harness.ROOT, path), target)
            for stage in self.stages:
                for text in self.words("COPY", stage):
                    if "--from=" not in text:
                        for source in [w for w in text.split() if not w.startswith("--")][:-1]:
                            self.assertTrue(os.path.exists(os.path.join(folder, "src", source)), source)
            done = subprocess.run(["cmake", "--preset", "release"], cwd=os.path.join(folder, "src"), stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            self.assertEqual(done.returncode, 0, done.stdout[-2000:])
            listed = subprocess.run(["ninja", "-C", ".build/release", "-n"], cwd=os.path.join(folder, "src"),
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual(listed.returncode, 0, "every source is there: " + listed.stdout[-2000:])


class ComposeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        k8s.install()
        cls.compose = from_yaml(os.path.join(DEPLOY, "compose.yaml"))
        cls.services = cls.compose["services"]
        cls.ours = {name: s for name, s in cls.services.items() if s["image"] == "headwater"}

    def test_every_service_is_without_rights(self):
        for name, service in self.services.items():
            self.assertEqual((service["read_only"], service["cap_drop"], service["security_opt"], service.get("privileged")),
                             (True, ["ALL"], ["no-new-privileges:true"], None), name)

    def test_programs_accept_what_they_are_given(self):
        for name, service in self.ours.items():
            [program] = service["command"]
            env = {key: str(value).replace("${HOST:-127.0.0.1}", "live.example")
                   for key, value in service["environment"].items()}
            done = subprocess.run([os.path.join(harness.BIN_DIR, f"headwater-{program}"), "--check-config"],
                                  env={**harness.sanitizer_env(), **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True)
            self.assertEqual(done.returncode, 0, f"{name}: {done.stdout}")

    def test_names_lead_to_services_that_are_there(self):
        for name, service in self.ours.items():
            for value in service["environment"].values():
                match = re.fullmatch(r"(?:http|rtmp|redis)://([a-z0-9-]+):(\d+)", str(value))
                if match:
                    self.assertIn(match[1], self.services, name)
                    self.assertTrue(set(service["networks"]) & set(self.services[match[1]]["networks"]))
            self.assertLessEqual(set(service["secrets"]), set(self.compose["secrets"]))
            self.assertLessEqual(set(service["depends_on"]), set(self.services))

    def test_console_reaches_nodes_and_nobody_else_their_admin_ports(self):
        for name, service in self.ours.items():
            if service["command"] == ["node"]:
                env = service["environment"]
                self.assertEqual((env["HEADWATER_ADMIN__LISTEN"], env["HEADWATER_CLUSTER__ADVERTISE__ADMIN"]),
                                 ("0.0.0.0:8081", f"http://{name}:8081"))
                self.assertNotIn("8081", [port.split(":")[-1] for port in service["ports"]])

    def test_public_addresses_are_the_ports_of_this_machine(self):
        hosts = []
        for name, service in self.services.items():
            outer = dict(reversed(p.split(":")[-2:]) for p in service.get("ports", ()))
            hosts += outer.values()
            for key, inner in (("HTTP", "8080"), ("RTMP", "1935")):
                public = service.get("environment", {}).get(f"HEADWATER_CLUSTER__ADVERTISE__PUBLIC__{key}")
                if public:
                    self.assertEqual(public.rsplit(":", 1)[1], outer[inner], name)
        self.assertEqual(len(hosts), len(set(hosts)), "no port twice")


if __name__ == "__main__":
    unittest.main()
