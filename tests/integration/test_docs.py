"""Every command in the manuals, run as it stands there (docs.py), and whether what the text promises comes true."""

import base64
import json
import os
import re
import subprocess
import unittest

import certs
import docs
import harness

RUN = {}  # (manual, heading) -> the test that runs its blocks


def runs(manual, *headings):
    """The test runs all blocks of these headings; it gets them by name of heading."""
    def decorate(test):
        for heading in headings:
            RUN[manual, heading] = test.__name__
        return test
    return decorate


def under(manual, heading):
    found = [b for b in docs.blocks_of(manual, docs.read(manual)) if b.info == "sh" and b.heading == heading]
    if not found:
        raise AssertionError(f"{manual}: nothing to run under {heading}")
    return found


def run_all(world, manual, heading, **more):
    for block in under(manual, heading):
        world.run(block, **more)


def configuration(manual, begins):
    """A block that is a file, or a part of one."""
    [block] = [b for b in docs.blocks_of(manual, docs.read(manual)) if b.text.startswith(begins)]
    return block.text


def make_ca(world, *hosts):
    """Certificates of one authority, named after the first part of each host; those of README's are fullchain, privkey."""
    authority = certs.Authority(world.folder, "ca")
    for host in hosts:
        authority.issue(host.split(".")[0], [f"DNS:{host}"])
    return authority


class MarksTest(unittest.TestCase):
    """What a reader sees is run, or says why it is not."""

    def test_every_block_is_marked(self):
        wrong = [f"{b}: {docs.complaint(b)}" for b in docs.all_blocks() if docs.complaint(b)]
        self.assertEqual(wrong, [], "\n".join(wrong))

    def test_every_block_is_run(self):
        found = {(b.file, b.heading) for b in docs.all_blocks() if b.info == "sh"}
        self.assertEqual(found - set(RUN), set(), "no test runs them")
        self.assertEqual(set(RUN) - found, set(), "these are gone")

    def test_unmarked_commands_are_seen(self):
        for text in ("curl http://a\n", "$ headwater-node --set a=b\n", "x\ntests/run.sh --full\n", "deploy/up.sh --json\n",
                     "sudo systemctl restart headwater-node\n"):
            self.assertIsNotNone(docs.complaint(docs.Block("a.md", 1, "", "", text)), text)
            self.assertIsNotNone(docs.complaint(docs.Block("a.md", 1, "", "console", text)), text)
            self.assertIsNone(docs.complaint(docs.Block("a.md", 1, "", "sh", text)), text)
            said = "# not run by tests: it takes half a day\n" + text
            self.assertIsNone(docs.complaint(docs.Block("a.md", 1, "", "console", said)), text)


class WordsTest(unittest.TestCase):
    """Names that manuals quote exist."""

    def sources(self):
        for folder in ("node", "scheduler", "common"):
            for where, _, files in os.walk(os.path.join(harness.ROOT, folder)):
                for name in files:
                    if name.endswith((".c", ".h")):
                        with open(os.path.join(where, name), encoding="utf-8") as file:
                            yield file.read()

    def test_links_lead_somewhere(self):
        dead = []
        for manual in docs.manuals():
            text = re.sub(r"```.*?```", "", docs.read(manual), flags=re.S)
            for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
                path = os.path.join(harness.ROOT, os.path.dirname(manual), link)
                if "://" not in link and not os.path.exists(path):
                    dead.append(f"{manual}: {link}")
        self.assertEqual(dead, [])

    def test_every_folder_has_a_manual_that_names_its_files(self):
        unnamed = []
        for top in ("node", "scheduler", "common", "proto", "deploy", "conf", "tests"):
            for where, folders, files in os.walk(os.path.join(harness.ROOT, top)):
                folders[:] = [f for f in folders if not f.startswith((".", "__")) and f not in (
                    "node_modules", "vendor", "corpus", "unit")]
                here = os.path.relpath(where, harness.ROOT)
                unnamed += [f"{here}/{name}" for name in sorted(unnamed_files(here, files))]
        self.assertEqual(unnamed, [], "\n".join(unnamed))

    def test_every_key_is_in_a_manual(self):
        named = set()
        for manual in docs.manuals():
            folder = ""
            # "`a.b.c`, `.d`" is a.b.c and a.b.d; "--set a.b.c=1" names it, too.
            for word in re.findall(r"(?:`|--set '?)(\.?[a-z]\w*(?:\.[a-z]\w*)*)[`= ]", docs.read(manual)):
                folder = folder if word.startswith(".") else word.rpartition(".")[0]
                named.add(folder + word if word.startswith(".") else word)
        for program in ("node", "scheduler"):
            told = subprocess.run([os.path.join(harness.BIN_DIR, f"headwater-{program}"), "--help-config"],
                                  capture_output=True, text=True, check=True, timeout=20).stdout
            keys = set(re.findall(r"^([a-z][\w.]*) = ", told, re.M))
            self.assertEqual(keys, leaves_of(example(program)))
            self.assertEqual(sorted(keys - named), [], f"keys of headwater-{program} that no manual names")

    def test_keys_exist(self):
        known = {"hooks.targets"} | keys_of(example("node")) | keys_of(example("scheduler"))
        for manual in ("README.md", "conf/tuning.md", "deploy/operate.md", "conf/moving.md"):
            # Of the tables about other servers the second column is ours.
            text = re.sub(r"```.*?```", "", docs.read(manual), flags=re.S)
            if manual == "conf/moving.md":
                text = "\n".join(line.split("|", 2)[2] for line in text.replace("\\|", "/").splitlines()
                                 if line.startswith("|"))
            tops = {key.split(".")[0] for key in known if "." in key}
            named = {word for word in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", text) if word.split(".")[0] in tops}
            self.assertTrue(named, manual)
            self.assertEqual({n for n in named if n not in known and not n.endswith((".c", ".sh", ".json", ".md", ".jpg"))}, set(),
                             manual)

    def test_figures_beside_other_servers_were_measured(self):
        """Each figure of the comparison is in the tables that its command has printed."""
        table = docs.read("README.md").split("## Next to other servers")[1].split("\n## ")[0]
        rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| `(tests/bench/[^`]+)` \|$", table, re.M)
        self.assertGreater(len(rows), 8)
        for what, ours, other, command in rows:
            self.assertTrue(os.access(os.path.join(harness.ROOT, command.split()[0]), os.X_OK), command)
            measured = measured_by(command)
            # Not "p50", "a GOP of 2 s", "HTTP/1.1".
            for figure in re.findall(r"(?<![\w./])\d[\d,]*(?:\.\d+)?(?! s\b)(?![\w./])", f"{ours} {other}"):
                n_digits = len(figure.partition(".")[2])
                value = float(figure.replace(",", ""))
                self.assertTrue(any(abs(value - got) <= 0.51 * 10 ** -n_digits for got in measured), f"{what}: {figure}")


def measured_by(command):
    """All numbers of the tables of that command; of KiB the MiB, too."""
    path, *names = command.split()
    if path == "tests/bench/run.py":
        parts = docs.read("tests/bench/results.md").split("\n### ")
        text = "\n".join(part for part in parts if names[0] in part.split(":")[0].split())
    elif path == "tests/bench/http/run.py":
        text = docs.read("tests/bench/results.md").split("### HTTP server beside nginx")[1].split("\n### ")[0]
    else:
        text = docs.read(os.path.join(os.path.dirname(path), "results.md"))
    numbers = [float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]
    return numbers + [n / 1024 for n in numbers]


def unnamed_files(folder, files):
    """Sources of a folder that its manual, or the nearest one above, does not name."""
    at = folder
    while at and not os.path.exists(os.path.join(harness.ROOT, at, "README.md")):
        at = os.path.dirname(at)
    text = docs.read(os.path.join(at, "README.md"))
    named = set(re.findall(r"[\w./*-]+", text))
    patterns = [re.compile(re.escape(n).replace(r"\*", r"\w*") + "$") for n in named if "*" in n]
    for name in files:
        stem, end = os.path.splitext(name)
        if stem.startswith(("test_", "fuzz_", "_")):
            continue  # named after what they test
        if end not in (".c", ".py", ".sh", ".json", ".svg", ".txt", ".md") or name in ("README.md", "CMakeLists.txt"):
            continue
        relative = os.path.relpath(os.path.join(folder, name), at)
        words = {name, stem, relative, os.path.splitext(relative)[0], f"{stem}.h"}
        if not words & named and not any(p.match(w) for p in patterns for w in words) \
                and not any(os.path.dirname(relative) and os.path.dirname(relative) == n.rstrip("/") for n in named):
            yield name


def example(program):
    with open(os.path.join(harness.ROOT, "conf", f"{program}.json"), encoding="utf-8") as file:
        return json.loads(re.sub(r"^\s*//.*$", "", file.read(), flags=re.M))


def leaves_of(tree):
    keys = keys_of(tree)
    return {key for key in keys if not any(other.startswith(key + ".") for other in keys)}


def keys_of(tree, prefix=""):
    found = set()
    for key, value in tree.items():
        found.add(prefix + key)
        if isinstance(value, dict):
            found |= keys_of(value, f"{prefix}{key}.")
    return found


class DocsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not docs.namespaces():
            print("SKIP: namespaces are not permitted here: no command of the manuals was run")
            raise unittest.SkipTest("namespaces")

    @runs("README.md", "Start", "Publish and play", "Build and test")
    @runs("scheduler/README.md", "Routing", "Scaling")
    def test_readme(self):
        with docs.World() as world:
            world.make_clip()
            [start] = under("README.md", "Start")
            world.stay(start)
            world.until("curl -s http://127.0.0.1:8090/api/v1/streams/live/demo", "edge-2", 60)
            run_all(world, "README.md", "Publish and play")
            self.check_urls(world)
            world.run(under("scheduler/README.md", "Routing")[0])
            self.assertIn(".flv\nedge-", world.output())
            world.until(under("scheduler/README.md", "Scaling")[0].text.strip(), '"wanted"')
            world.sh("cd headwater")
            run_all(world, "README.md", "Build and test")

    def check_urls(self, world):
        """The table of URLs, row by row."""
        table = docs.read("README.md").split("| URL, with the ports")[1].split("\n\n")[0]
        hosts = set(re.findall(r"http://127\.0\.0\.1:\d+", table))
        self.assertEqual(len(hosts), 3)
        for node, end in (("8080", "flv"), ("8280", "mp4"), ("8180", "ts"), ("8180", "mp4"), ("8080", "m3u8")):
            world.sh(f"ffplay http://127.0.0.1:{node}/live/x.{end}")
            world.ask(f"curl -fsS http://127.0.0.1:{node}/healthz http://127.0.0.1:{node}/readyz")
        for end in ("flv", "ts", "mp4", "m3u8"):
            code = world.ask(f"curl -sS -o /dev/null -w '%{{http_code}}' http://127.0.0.1:8090/live/x.{end}")
            self.assertEqual(code, "302", end)
        world.sh("ffplay rtmp://127.0.0.1:1935/live/x; ffplay rtmp://127.0.0.1:1955/live/x")
        world.sh("ffplay http://127.0.0.1:8180/live/x/index.m3u8; ffplay 'http://127.0.0.1:8180/live/x.m3u8?container=ts'")
        for port, paths in (("8090", ("api/v1/nodes", "api/v1/streams", "metrics", "healthz", "readyz")),
                            ("8081", ("api/v1/streams", "api/v1/sessions", "metrics", "healthz", "readyz")),
                            ("8281", ("metrics",))):
            for path in paths:
                self.assertTrue(world.ask(f"curl -fsS http://127.0.0.1:{port}/{path}"), path)

    @runs("deploy/operate.md", "By hand", "An origin fails", "Why, and how late", "Two encoders", "Draining",
          "Rolling upgrade")
    def test_operate(self):
        with docs.World() as world:
            world.make_clip()
            run_all(world, "deploy/operate.md", "By hand")
            world.sh("headwater-tool pull http://127.0.0.1:2131/live/x.flv watch.flv --quiet & watch=$!")
            session = "curl -s 'http://127.0.0.1:2132/api/v1/sessions?protocol=flv&kind=play'"
            before = json.loads(world.until(session, '"f-'))["items"][0]["id"]
            run_all(world, "deploy/operate.md", "An origin fails")
            world.sh("kill -0 $watch")
            run_all(world, "deploy/operate.md", "Why, and how late")
            self.assertRegex(world.output(), r"edge-\d +taken")
            self.assertIn(f'"{before}"', world.ask(session), "the viewer has stayed")
            run_all(world, "deploy/operate.md", "Two encoders")
            harness.wait_until(lambda: 'msg="publisher stands by"' in world.output(), 20, "the second encoder stands by")
            world.sh("kill $(pgrep -f 2120/live/x); ffplay http://127.0.0.1:2131/live/x.flv")
            run_all(world, "deploy/operate.md", "Draining")
            world.sh("wait $!", timeout_s=30)  # the node that drains ends with 0
            run_all(world, "deploy/operate.md", "Rolling upgrade")
            world.sh("kill -0 $watch")
            world.until("curl -s http://127.0.0.1:8090/api/v1/nodes", "edge-2")
            world.sh("kill -INT $watch; wait $watch")

    @runs("deploy/operate.md", "Redis")
    def test_redis_user_may_what_schedulers_do(self):
        with docs.World() as world:
            world.make_clip()
            run_all(world, "deploy/operate.md", "Redis")
            world.until("curl -s http://127.0.0.1:8091/metrics", "headwater_store_up 1")
            world.sh("headwater-node --set cluster.node_id=o --set cluster.schedulers=http://127.0.0.1:8091"
                     " --set rtmp.listen=127.0.0.1:1935 --set http.listen=127.0.0.1:8080 &")
            world.until("curl -s http://127.0.0.1:8081/readyz", '"connected"')
            world.sh("ffmpeg -nostdin -v error -re -stream_loop -1 -i clip.mp4 -c copy -f flv rtmp://127.0.0.1/live/x &")
            world.until("redis-cli get hw:stream:live/x", "epoch")
            world.sh("sleep 3")  # several rounds of everything that a scheduler asks of Redis
            self.assertNotIn("NOPERM", world.output())
            self.assertNotIn("redis refuses", world.output())
            self.assertIn("headwater_publishes_degraded_total 0", world.ask("curl -fsS http://127.0.0.1:8091/metrics"))
            self.assertIn("NOPERM", world.ask(
                "redis-cli --user headwater --pass \"$(cat redis-password)\" --no-auth-warning flushall"))

    def test_tunnel_to_redis(self):
        """stunnel with the file of the manual, in front of a Redis that speaks TLS alone."""
        with docs.World(["redis.internal"]) as world:
            make_ca(world, "redis.internal")
            world.sh("cp ca.pem etc/ca.pem")
            world.put("stunnel.conf", "foreground = yes\npid =\n" + configuration("deploy/operate.md", "; /etc/stunnel").replace(
                "/etc/headwater", f"{world.folder}/etc"))
            world.sh("redis-server --bind 127.0.0.1 --port 0 --tls-port 6380 --tls-cert-file redis.pem --tls-key-file redis.key"
                     " --tls-ca-cert-file ca.pem --tls-auth-clients no --save '' --appendonly no &\n"
                     "stunnel stunnel.conf &\n"
                     "headwater-scheduler --set http.listen=127.0.0.1:8090 --set store.type=redis"
                     " --set store.redis.url=redis://127.0.0.1:6379 &")
            world.until("curl -s http://127.0.0.1:8090/metrics", "headwater_store_up 1")
            world.sh("headwater-node --set cluster.node_id=o --set cluster.schedulers=http://127.0.0.1:8090 &")
            world.until("redis-cli --tls --cacert ca.pem -h redis.internal -p 6380 keys 'hw:node:*'", "hw:node:o")

    def test_balancer_in_front_of_origins(self):
        """haproxy with the file of the manual: encoders have their own addresses, and leave what drains or dies."""
        with docs.World() as world:
            world.make_clip()
            # As if these were machines: what goes to one of them comes from another one.
            for to, source in (("10.0.1.5", "10.0.1.2"), ("10.0.1.6", "10.0.1.2"), ("10.0.1.2", "192.0.2.7")):
                for address in (to, source):
                    world.sh(f"ip address replace {address}/32 dev lo")
                world.sh(f"ip route change local {to} dev lo table local src {source}")
            world.put("haproxy.cfg", configuration("deploy/operate.md", "# haproxy.cfg").replace("bind :1935", "bind 10.0.1.2:1935"))
            trusted = json.loads("{" + configuration("deploy/operate.md", '"trusted_proxies"') + "}")["trusted_proxies"]
            world.sh("headwater-scheduler --set http.listen=127.0.0.1:8090 &")
            world.sh("node() { headwater-node --set cluster.node_id=origin-$1 --set cluster.role=origin --set cluster.schedulers=http://127.0.0.1:8090"
                     f" --set trusted_proxies={trusted[0]} --set rtmp.listen=10.0.1.$(($1 + 4)):1935 --set drain_timeout_s=60"
                     " --set http.listen=10.0.1.$(($1 + 4)):8080 --set admin.listen=127.0.0.1:808$1 & eval origin_$1=$!; }; node 1; node 2")
            nodes = "curl -s http://127.0.0.1:8090/api/v1/nodes || true"
            harness.wait_until(lambda: world.ask(nodes).count('"active"') == 2, 30, "two origins")
            world.sh("haproxy -db -f haproxy.cfg &\n"
                     "until ffmpeg -nostdin -v error -re -stream_loop -1 -i clip.mp4 -c copy -f flv rtmp://10.0.1.2/live/x; do sleep 0.2; done &")
            owner = self.owner_behind_balancer(world, "origin-")
            world.sh(f"curl -fsS -X POST -H 'Content-Type: application/json' -d '{{}}' http://127.0.0.1:8090/api/v1/nodes/{owner}/drain")
            other = self.owner_behind_balancer(world, "origin-2" if owner == "origin-1" else "origin-1")
            self.assertIn(f"Server origins/{owner} is DOWN", world.output())
            world.sh(f"wait $origin_{owner[-1]}; node {owner[-1]}; kill -9 $origin_{other[-1]}")
            self.owner_behind_balancer(world, owner)

    def owner_behind_balancer(self, world, wanted):
        stream = world.until("curl -s http://127.0.0.1:8090/api/v1/streams/live/x", f'"owner":"{wanted}')
        owner = json.loads(stream)["owner"]
        world.until(f"curl -s 'http://127.0.0.1:808{owner[-1]}/api/v1/sessions?kind=publish'", '"192.0.2.7:')
        return owner

    def test_failures_are_told_in_these_words(self):
        """Each metric and each log line that the table of failures quotes is there."""
        table = docs.read("deploy/operate.md").split("## What failed")[1].split("\n## ")[0]
        logs = [text for row in table.splitlines() if row.startswith("| ") and row.count("|") == 6
                for text in re.findall(r"`([^`/]+)`", row.split("|")[3])]
        self.assertGreater(len(logs), 20)
        sources = re.sub(r'"\s*\n\s*"', "", "\n".join(WordsTest.sources(self)))
        missing = [text for text in logs if text not in sources and text not in (
            "viewers are turned away", "a certificate ends soon", "publish granted without scheduler")]
        self.assertEqual(missing, [])
        metrics = set(re.findall(r"headwater_\w+[a-z]", table))
        with docs.World() as world:
            world.sh("openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -days 30 -subj /CN=a; chmod 600 k.pem\n"
                     "headwater-scheduler --set http.listen=127.0.0.1:8090 &\n"
                     "headwater-node --set cluster.schedulers=http://127.0.0.1:8090 --set tls.certificates=c.pem=k.pem "
                     "--set record.dir=records --set 'hooks.targets=http://127.0.0.1:9/,http://127.0.0.1:9/g mode=gate' &")
            world.until("curl -s http://127.0.0.1:8081/readyz", '"connected"')
            live = world.ask("curl -fsS http://127.0.0.1:8090/metrics; curl -fsS http://127.0.0.1:8081/metrics")
        self.assertGreater(len(metrics), 20)
        self.assertEqual({m for m in metrics if f"\n{m}" not in live and f" {m} " not in live}, set())

    @runs("conf/README.md", "A cluster without a file")
    def test_cluster_without_a_file(self):
        with docs.World() as world:
            world.make_clip()
            run_all(world, "conf/README.md", "A cluster without a file")
            for port in (8081, 8181):
                world.until(f"curl -s http://127.0.0.1:{port}/readyz", '"connected"')
            world.sh("ffmpeg -nostdin -v error -re -stream_loop -1 -i clip.mp4 -c copy -f flv rtmp://127.0.0.1:1935/live/x &\n"
                     "ffplay rtmp://127.0.0.1:1945/live/x")

    @runs("conf/README.md", "What is told by API")
    def test_settings(self):
        with docs.World() as world:
            run_all(world, "conf/README.md", "What is told by API")
            self.assertIn("192.0.2.0/24", world.output())
            self.assertTrue(os.path.getsize(os.path.join(world.folder, "var", "state.json")))

    @runs("conf/README.md", "TLS")
    def test_tls(self):
        with docs.World(["live.example"]) as world:
            world.make_clip()
            make_ca(world, "live.example")
            world.sh("cp live.pem etc/fullchain.pem; cp live.key etc/privkey.pem")
            run_all(world, "conf/README.md", "TLS")
            world.sh("curl -fsS --cacert ca.pem https://live.example:8443/readyz")

    @runs("conf/README.md", "A cluster over TLS alone")
    def test_cluster_over_tls(self):
        with docs.World(["scheduler.internal", "edge-1.internal", "edge-1.example"]) as world:
            authority = make_ca(world, "scheduler.internal")
            authority.issue("edge-1", ["DNS:edge-1.internal", "DNS:edge-1.example"])
            world.sh("cp ca.pem cluster-ca.pem")
            world.put("token", harness.TOKEN)
            run_all(world, "conf/README.md", "A cluster over TLS alone")
            nodes = world.until("curl -s --cacert ca.pem -H 'Authorization: Bearer " + harness.TOKEN +
                                "' https://scheduler.internal:8490/api/v1/nodes", "edge-1")
            self.assertIn("active", nodes)

    @runs("conf/README.md", "The API off loopback")
    def test_api_off_loopback(self):
        with docs.World(["node.example"]) as world:
            make_ca(world, "node.example")
            run_all(world, "conf/README.md", "The API off loopback")
            self.assertIn('"items"', world.output())
            code = world.ask("curl -sS --cacert ca.pem -o /dev/null -w '%{http_code}' https://node.example:8081/api/v1/streams")
            self.assertEqual(code, "401")

    @runs("conf/tuning.md", "The machine")
    def test_tuning(self):
        with docs.World() as world:
            run_all(world, "conf/tuning.md", "The machine")
            text = docs.read("conf/tuning.md").split("50-headwater.conf\n")[1].split("```")[0]
            for key in re.findall(r"^([\w.]+) =", text, re.M):
                if "conntrack" not in key:  # a module that may not be loaded
                    self.assertTrue(os.path.exists("/proc/sys/" + key.replace(".", "/")), key)

    @runs("conf/moving.md", "Moving over")
    def test_moving(self):
        with docs.World(["old.example"]) as world:
            world.make_clip()
            world.sh("headwater-node --set rtmp.listen=127.0.0.1:19350 --set http.listen= --set admin.listen= &\n"
                     "until ffmpeg -nostdin -v error -t 1 -i clip.mp4 -c copy -f flv rtmp://127.0.0.1:19350/live/y; do :; done\n"
                     "ffmpeg -nostdin -v error -re -stream_loop -1 -i clip.mp4 -c copy -f flv rtmp://127.0.0.1:19350/live/x &\n")
            run_all(world, "conf/moving.md", "Moving over")

    @runs("common/console/README.md", "common/console")
    def test_console(self):
        with docs.World() as world:
            run_all(world, "common/console/README.md", "common/console")
            world.until("curl -s http://127.0.0.1:8081/", "<html")

    @runs("node/control/README.md", "The API")
    def test_events(self):
        with docs.World() as world:
            world.make_clip()
            world.sh("headwater-node &")
            world.until("curl -s http://127.0.0.1:8081/readyz", "none")
            [block] = under("node/control/README.md", "The API")
            world.stay(block)
            world.until("curl -s http://127.0.0.1:8081/metrics", "headwater_event_readers 1")
            world.sh("ffmpeg -nostdin -v error -re -t 2 -i clip.mp4 -c copy -f flv rtmp://127.0.0.1/live/a")
            harness.wait_until(lambda: "event: on_publish_done" in world.output(), 20, "the events")
            self.assertIn("event: on_publish\n", world.output())

    @runs("proto/access/README.md", "proto/access")
    def test_signature_is_that_of_the_tool(self):
        with docs.World() as world:
            world.put("keys", "2026a the secret of 2026a\n")
            run_all(world, "proto/access/README.md", "proto/access")
            signed = world.ask("headwater-tool sign --keys keys --stream live/show --expires 1767225600")
            by_tool = base64.urlsafe_b64decode(re.search(r"hw_sign=([\w-]{43})", signed)[1] + "=").hex()
            self.assertIn(by_tool, world.output())

    TOOL = "tests/tools/README.md"

    @runs(TOOL, "push, pull", "relay", "record", "delay", "route", "load", "ask", "analyze", "remux", "sign, passwd")
    def test_tool(self):
        hosts = ["origin.example", "edge.example", "one.example", "two.example"]
        with docs.World(hosts) as world:
            world.make_clip()
            authority = make_ca(world)
            authority.issue("node", [f"DNS:{host}" for host in hosts])
            world.put("etc/token", harness.TOKEN)
            world.put("sign-keys", "a 0123456789abcdef0123456789abcdef\n")
            world.put("password-file", "a password\n")
            world.put("paths.txt", "/v1/route?stream=live/a&intent=play&protocol=flv\n")
            world.sh("ffmpeg -nostdin -v error -i clip.mp4 -c copy clip.flv; ffmpeg -nostdin -v error -i clip.mp4 -c copy in.mkv\n"
                     "ip address add 10.0.0.5/32 dev lo\n"
                     "headwater-scheduler --set http.listen=0.0.0.0:8090 --set token_file=etc/token &\n"
                     "headwater-node --set tls.certificates=node.pem=node.key --set cluster.token_file=etc/token"
                     " --set cluster.schedulers=http://10.0.0.5:8090 --set cluster.node_id=all --set rtmp.listen=127.0.0.1:1935"
                     " --set http.listen=127.0.0.1:8080 --set rtmps.listen=127.0.0.1:1936 --set https.listen=127.0.0.1:8443 &")
            world.until("curl -s http://127.0.0.1:8081/readyz", '"connected"')
            run_all(world, self.TOOL, "push, pull")
            self.assertGreater(float(world.ask("ffprobe -v error -show_entries format=duration -of csv=p=0 a.mp4")), 4.5)
            run_all(world, self.TOOL, "relay")
            world.sh("ffplay rtmp://127.0.0.1/live/key; ffplay rtmp://127.0.0.1/app/key")
            for heading in ("record", "delay", "route", "load", "ask"):
                run_all(world, self.TOOL, heading)
            self.assertIn("#EXTINF", world.ask("cat www/a/index.m3u8"))
            players = json.loads(world.ask("cat out.json"))["players"]
            self.assertEqual(sum(group["playing"] for group in players), 1020)
            world.sh("headwater-tool pull rtmp://127.0.0.1/live/a b.flv --seconds 2 --dump a.rtmp")
            world.sh("headwater-tool remux clip.flv clip.ts")
            run_all(world, self.TOOL, "analyze")
            run_all(world, self.TOOL, "remux")
            run_all(world, self.TOOL, "sign, passwd")
            self.assertIn("hw_sign=", world.output())
            self.assertIn("bob", world.ask("cat users"))


if __name__ == "__main__":
    harness.main()
