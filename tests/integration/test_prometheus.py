"""deploy/prometheus and deploy/grafana, with a real Prometheus against a live cluster: rules and dashboards ask for
what there is, and the table of metrics in deploy/prometheus/README.md is what nodes and schedulers really have."""

import glob
import json
import os
import re
import subprocess
import tempfile
import unittest
import urllib.parse

import certs
import harness
import media
import receiver
import swarm

PROMETHEUS = os.path.join(harness.ROOT, "deploy", "prometheus")
DASHBOARDS = sorted(glob.glob(os.path.join(harness.ROOT, "deploy", "grafana", "*.json")))
COMPARISON = re.compile(r"^(.*?) (==|!=|>=|<=|>|<) (-?[0-9.]+)$", re.S)


def promtool(*args):
    done = subprocess.run([harness.tool("promtool"), *args], capture_output=True, text=True, cwd=PROMETHEUS)
    return done.returncode, done.stdout + done.stderr


class FilesTest(unittest.TestCase):
    def test_promtool_accepts_configuration_and_rules(self):
        for args in (["check", "config", "prometheus.yaml"], ["check", "rules", "--lint=all", "rules.yaml"]):
            code, said = promtool(*args)
            self.assertEqual(code, 0, said)
            self.assertNotIn("FAILED", said)

    def test_alerts_fire_when_they_should(self):
        code, said = promtool("test", "rules", "rules_test.yaml")
        self.assertEqual(code, 0, said)

    def test_dashboards_have_ids_of_their_own_and_say_what_they_show(self):
        uids = set()
        for path in DASHBOARDS:
            with open(path) as file:
                board = json.load(file)
            self.assertNotIn(board["uid"], uids)
            uids.add(board["uid"])
            ids = [panel["id"] for panel in board["panels"]]
            self.assertEqual(len(ids), len(set(ids)), path)
            for panel in board["panels"]:
                self.assertTrue(panel["title"], path)
                if panel["type"] != "row":
                    self.assertTrue(panel["targets"], panel["title"])
                    self.assertTrue(panel["fieldConfig"]["defaults"]["unit"], panel["title"])
        self.assertEqual(len(uids), 2)


class Prometheus(harness.Process):
    """A real one, with the configuration in deploy/prometheus; targets: what stands there -> where that is here."""

    def __init__(self, folder, targets):
        with open(os.path.join(PROMETHEUS, "prometheus.yaml")) as file:
            text = file.read()
        for name, address in targets.items():
            assert name in text, name
            text = text.replace(name, "%s:%d" % address)
        text = text.replace("15s", "1s").replace("rules.yaml", os.path.join(PROMETHEUS, "rules.yaml"))
        path = os.path.join(folder, "prometheus.yaml")
        with open(path, "w") as file:
            file.write(text)
        self.address = ("127.0.0.1", harness.free_port())
        super().__init__("prometheus", [
            harness.tool("prometheus"), f"--config.file={path}", f"--storage.tsdb.path={folder}/tsdb",
            "--web.listen-address=%s:%d" % self.address], folder)
        harness.wait_until(self._is_ready, 60, "prometheus is ready")

    def _is_ready(self):
        try:
            return harness.http_request(self.address, "/-/ready")[0] == 200
        except OSError:
            assert self.is_alive(), self.tail()
            return False

    def get(self, path, **query):
        status, _, body = harness.http_request(self.address, f"/api/v1/{path}?{urllib.parse.urlencode(query)}",
                                               timeout_s=30)
        answer = json.loads(body)
        if status != 200 or answer["status"] != "success":
            raise AssertionError(f"{query}: {answer}")
        return answer["data"]

    def query(self, expr):
        return self.get("query", query=expr)["result"]


def expressions():
    """(where, expression) of all panels, with Grafana's variables filled in."""
    for path in DASHBOARDS:
        with open(path) as file:
            board = json.load(file)
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                expr = target["expr"].replace("$__rate_interval", "30s").replace("$instance", ".*")
                yield f"{os.path.basename(path)}: {panel['title']}", expr


class LiveTest(unittest.TestCase):
    """One cluster with all that has metrics, and what a Prometheus makes of it."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="headwater-prometheus-")
        authority = certs.Authority(cls.folder, "ca")
        pem, key = authority.issue("node", ["IP:127.0.0.1"])
        cls.hooks = receiver.Receiver()
        item = f"{cls.hooks.url('/hook')} mode=notify"
        sets = {"tls.certificates": f"{pem}={key}", "hooks.targets": item, "metrics.streams": "10",
                "record.dir": os.path.join(cls.folder, "records"), "hls.mode": "always"}
        cls.cluster = harness.Cluster(origins=1, edges=1, store="redis", node_set=sets, scheduler_set={
            "tls.certificates": f"{pem}={key}", "https.listen": "127.0.0.1:0"})
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.close)
        cls.flock = swarm.Swarm()
        cls.addClassCleanup(cls.flock.__exit__)
        origin, edge = cls.cluster.origins[0], cls.cluster.edges[0]
        cls.flock.publish(origin.rtmp, "live/seen", swarm.Clip(media.clip("small")))
        viewers = [cls.flock.play_rtmp(edge.rtmp, "live/seen"), cls.flock.play_flv(edge.http, "live/seen")]
        cls.flock.until(lambda: all(v.log.n_video > 20 for v in viewers), 30, "both play")
        cls.prometheus = Prometheus(cls.folder, {"origin-1:8081": origin.admin, "edge-1:8081": edge.admin,
                                                 "scheduler-1:8090": cls.cluster.scheduler.http})
        cls.addClassCleanup(lambda: cls.prometheus.stop())
        cls.flock.until(cls.is_scraped, 60, "everything was scraped some times")

    @classmethod
    def is_scraped(cls):
        nodes = cls.prometheus.query("headwater_connections[30s]")
        return (len(cls.prometheus.query("headwater_autoscale_wanted[30s]")) == 2 and len(nodes) >= 2
                and all(len(node["values"]) > 5 for node in nodes))

    def test_every_target_is_up(self):
        up = {r["metric"]["instance"]: r["value"][1] for r in self.prometheus.query("up")}
        self.assertEqual(set(up.values()), {"1"}, up)
        self.assertEqual(len(up), 3)

    def test_panels_ask_for_what_there_is(self):
        found = list(expressions())
        self.assertGreater(len(found), 60)
        for where, expr in found:
            with self.subTest(where):
                self.assertTrue(self.prometheus.query(expr), f"{where}: nothing for {expr}")

    def test_alerts_ask_for_what_there_is_and_none_fires(self):
        groups = self.prometheus.get("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        self.assertGreater(len(rules), 15)
        for rule in rules:
            with self.subTest(rule["name"]):
                self.assertEqual(rule["health"], "ok", rule.get("lastError"))
                left = COMPARISON.match(rule["query"])
                self.assertTrue(left, rule["query"])
                self.assertTrue(self.prometheus.query(left[1]), f"nothing for {left[1]}")
                self.assertEqual(rule["alerts"], [])
                self.assertTrue(rule["annotations"]["action"])

    def test_what_prometheus_has_is_what_happens(self):
        def value(expr):
            return float(self.prometheus.query(expr)[0]["value"][1])
        self.assertEqual(value('sum(headwater_viewers{kind="people"})'), 2)
        self.assertEqual(value('sum(headwater_top_stream_viewers{stream="live/seen"})'), 2)
        self.assertEqual(value('headwater_nodes{state="active"}'), 2)
        self.assertEqual(value('headwater_autoscale_wanted{role="edge"}'), 1)
        self.flock.until(lambda: value("sum(rate(headwater_bytes_out_total[10s]))") > 1000, 20, "bytes flow")

    def test_table_is_what_nodes_and_schedulers_have(self):
        live = {}
        for who, address in (("node", self.cluster.edges[0].admin), ("scheduler", self.cluster.scheduler.http)):
            for name, row in families(harness.http_request(address, "/metrics")[2].decode()).items():
                kept = live.setdefault(name, {"who": [], **row})
                kept["who"].append(who)
                for label, values in row["labels"].items():
                    kept["labels"].setdefault(label, set()).update(values)
        want = table(live)
        with open(os.path.join(PROMETHEUS, "README.md")) as file:
            have = [line for line in file.read().splitlines() if line.startswith("| `headwater_")
                    or line.startswith("| `process_")]
        self.assertEqual(have, want, "the table should be:\n" + "\n".join(want))


OPEN_LABELS = {"stream": "a name", "version": "of the program", "target": "its number"}


def families(text):
    """{name: {type, help, labels: {label: {values}}}}; le is no label of its own."""
    found, name = {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, text_of = line[7:].split(" ", 1)
            found[name] = {"help": text_of, "labels": {}}
        elif line.startswith("# TYPE "):
            found[line.split()[2]]["type"] = line.split()[3]
        elif line and not line.startswith("#"):
            match = harness.Metrics.LINE.match(line)
            for label, value in harness.Metrics.LABEL.findall(match[2] or ""):
                if label != "le":
                    found[name]["labels"].setdefault(label, set()).add(value)
    return found


def table(live):
    """Lines of Markdown, one a family."""
    def labels(row):
        return "; ".join(f"{label}: " + (OPEN_LABELS[label] if label in OPEN_LABELS and label != "version" or
                                         label == "version" and len(row["labels"]) == 1 else
                                         " ".join(f"`{v}`" for v in sorted(values)))
                         for label, values in sorted(row["labels"].items()))
    return [f"| `{name}` | {row['type']} | {' '.join(row['who'])} | {labels(row)} | {row['help']} |"
            for name, row in sorted(live.items())]


if __name__ == "__main__":
    harness.main()
