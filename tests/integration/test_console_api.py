"""What the console stands on: files and their headers, the scheduler's events, and the API of nodes through it."""

import json
import os
import tempfile

import console_page
import events
import harness
import media
from fake_node import LISTENERS, FakeNode

STREAM = "live/seen"
JSON = {"Content-Type": "application/json"}


def bearer(token):
    return {"Host": "console.test", "Authorization": f"Bearer {token}"}


class Door:
    """A scheduler, for what reads a node's events."""

    def __init__(self, scheduler):
        self.admin = scheduler.http


class ConsoleApiTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 1}

    @classmethod
    def setUpClass(cls):
        files = tempfile.TemporaryDirectory(prefix="headwater-console-")
        cls.addClassCleanup(files.cleanup)
        tokens = console_page.write_tokens(os.path.join(files.name, "tokens"))
        cls.cluster_args = {**cls.cluster_args, "scheduler_set": {"admin.tokens_file": tokens}}
        super().setUpClass()
        cls.scheduler, cls.origin, cls.edge = cls.cluster.scheduler, cls.cluster.origins[0], cls.cluster.edges[0]

    def tearDown(self):
        while LISTENERS:
            LISTENERS.pop().close()

    def ask(self, path, method="GET", headers=None, body=None):
        """(status, parsed answer) of the scheduler."""
        status, fields, text = harness.http_request(self.scheduler.http, path, method, headers, body)
        return status, json.loads(text) if "json" in fields.get("content-type", "") else text

    # --- files ---

    def test_files_are_served_whole_with_their_types_and_policy(self):
        for address in (self.scheduler.http, self.origin.admin):
            status, fields, body = harness.http_request(address, "/", headers={"Host": "console.test"})
            self.assertEqual((status, fields["content-type"]), (200, "text/html; charset=utf-8"))
            policy = fields["content-security-policy"]
            for word in ("default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"):
                self.assertIn(word, policy)
            self.assertNotIn("unsafe", policy)
            self.assertNotIn(b"<script>", body)
            self.assertNotIn(b" style=", body)
            status, fields, _ = harness.http_request(address, "/console/player.html")
            self.assertIn("sandbox allow-scripts;", fields["content-security-policy"])
            folder = os.path.join(harness.ROOT, "common", "console")
            for name in [n for n in os.listdir(folder) if n.endswith((".js", ".css", ".svg"))]:
                status, fields, body = harness.http_request(address, f"/console/{name}")
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertEqual((status, body), (200, file.read()), name)
                self.assertEqual(fields["x-content-type-options"], "nosniff")
                status, _, body = harness.http_request(address, f"/console/{name}", headers={"If-None-Match": fields["etag"]})
                self.assertEqual((status, body), (304, b""), name)
            self.assertEqual(harness.http_request(address, "/console/../main.js")[0], 400)
            self.assertEqual(harness.http_request(address, "/console/none.js")[0], 404)

    def test_who_needs_a_token_is_told_so_before_anything_is_refused(self):
        self.assertEqual(self.ask("/api/v1/console"), (200, {"token": False}))
        for token in (None, console_page.ADMIN, "wrong" * 5):
            headers = bearer(token) if token else {"Host": "console.test"}
            self.assertEqual(self.ask("/api/v1/console", headers=headers), (200, {"token": True}))
        status, me = self.ask("/api/v1/console/me", headers=bearer(console_page.READER))
        self.assertEqual((status, me["kind"], me["who"], me["scope"]), (200, "scheduler", "rita", "read"))
        self.assertEqual(self.ask("/api/v1/console/me", headers={"Host": "console.test"})[0], 401)
        for path in ("/api/v1/events", "/api/v1/history", "/api/v1/trace?session=x", "/api/v1/nodes/origin-1/api/v1/node"):
            self.assertEqual(self.ask(path, headers={"Host": "console.test"})[0], 401, path)

    # --- what changes ---

    def test_events_tell_nodes_totals_and_streams(self):
        reader = events.Reader(Door(self.scheduler))
        self.addCleanup(reader.close)
        nodes = reader.wait("nodes", first=True, last=True)
        self.assertEqual([n["id"] for n in nodes["items"]], ["edge-1", "origin-1"])
        reader.wait("totals", nodes=2)
        harness.wait_until(lambda: [x for x in reader.of("autoscale") if x["edge"] and x["origin"]], 30, "advice")
        advice = reader.of("autoscale")[-1]
        _, asked = self.ask("/v1/autoscale?role=edge")
        self.assertEqual({**advice["edge"], "emptiest": ["edge-1"]}.keys(), asked.keys())
        self.assertEqual((advice["edge"]["replicas"], advice["origin"]["replicas"]), (1, 1))
        self.assertIn("of 1 nodes, target 60%", advice["edge"]["reason"])
        publisher = media.publish(media.clip("small"), self.origin.url(STREAM), self.cluster.folder, loop=True)
        self.addCleanup(publisher.kill)

        def told(owner):
            return [x for e in reader.of("streams") for x in e["items"] if (x["name"], x["owner"]) == (STREAM, owner)]
        harness.wait_until(lambda: told("origin-1"), 15, "it began")
        harness.wait_until(lambda: [x for x in reader.of("totals") if x["streams"] > 0], 15, "it is counted")
        publisher.kill()
        harness.wait_until(lambda: told(None), 30, "it ended")
        history = harness.wait_until(lambda: [h for h in [self.ask("/api/v1/history")[1]] if h["series"]["nodes"][-1:] == [2]], 15, "samples")[0]
        self.assertEqual(history["step_ms"], 5000)
        self.assertEqual(len({len(values) for values in history["series"].values()}), 1)

    def test_streams_are_found_by_a_part_of_their_name(self):
        node = FakeNode("%s:%d" % self.scheduler.http, "many")
        names = [f"live/{'odd' if i % 2 else 'even'}-{i:04}" for i in range(7000)]
        self.assertEqual(self.beat(node, {"streams": [{"name": name, "epoch": "0"} for name in names]}), 200)

        def found(match):
            pages, after = [], ""
            while after is not None:
                status, page = self.ask(f"/api/v1/streams?limit=1000&match={match}&after={after}")
                self.assertEqual(status, 200)
                pages.append([x["name"] for x in page["items"]])
                after = page["next"]
            return pages
        self.assertEqual(sum(found("odd-"), []), sorted(n for n in names if "odd-" in n))
        self.assertEqual(sum(found("6999"), []), ["live/odd-6999"])
        self.assertGreater(len(found("nowhere")), 1, "a page looks at some of them")

    # --- nodes through the scheduler ---

    def test_nodes_say_where_their_admin_port_is(self):
        by_id = {n["id"]: n for n in self.ask("/api/v1/nodes?upstreams=1")[1]["items"]}
        self.assertEqual(by_id["origin-1"]["admin"], "http://%s:%d" % self.origin.admin)
        self.assertEqual(by_id["origin-1"]["upstreams"], {})
        told = self.cluster.make_node("edge", 7, cluster__advertise__admin="http://console.example:8081").learn()
        node = harness.wait_until(lambda: [n for n in self.ask("/api/v1/nodes")[1]["items"] if n["id"] == told.id], 10, "it reports")[0]
        self.assertEqual(node["admin"], "http://console.example:8081")

    def test_api_of_a_node_is_reached_with_the_rights_of_who_asks(self):
        base = "/api/v1/nodes/origin-1/api/v1"
        publisher = media.publish(media.clip("small"), self.origin.url("live/ünder"), self.cluster.folder, loop=True)
        self.addCleanup(publisher.kill)
        self.cluster.wait_route("live/ünder")
        for token in (console_page.READER, console_page.ADMIN):
            status, node = self.ask(f"{base}/node", headers=bearer(token))
            self.assertEqual((status, node["id"]), (200, "origin-1"))
        status, stream = self.ask(f"{base}/streams/live/%C3%BCnder", headers=bearer(console_page.READER))
        self.assertEqual((status, stream["name"]), (200, "live/ünder"))
        self.assertEqual(self.ask(f"{base}/sessions?kind=publish&limit=1")[1]["items"][0]["stream"], "live/ünder")
        self.assertEqual(self.ask(f"{base}/config", headers=bearer(console_page.READER))[0], 403)
        self.assertEqual(self.ask(f"{base}/config", headers=bearer(console_page.ADMIN))[0], 200)
        self.assertEqual(self.ask(f"{base}/streams/live/none", "DELETE", {**JSON, **bearer(console_page.READER)})[0], 403)
        self.assertEqual(self.ask(f"{base}/streams/live/none", "DELETE", {**JSON, **bearer(console_page.ADMIN)})[0], 404)
        self.assertTrue(self.origin.log_lines("audit who=alice"))
        status, problem = self.ask(f"{base}/bans", "POST", {**JSON, **bearer(console_page.ADMIN)}, json.dumps({"net": "nobody"}))
        self.assertEqual(status, 400)
        self.assertIn("net", problem["detail"])
        self.assertEqual(self.ask(f"{base}/events")[0], 400)
        self.assertEqual(self.ask("/api/v1/nodes/none/api/v1/node")[0], 404)
        self.assertEqual(self.ask(f"{base}/streams/{'x' * 5000}")[0], 400)

    def test_rights_are_only_ever_taken_away(self):
        def status(on_behalf, path="/api/v1/config", **more):
            return harness.http_request(self.origin.admin, path, headers={"X-Headwater-On-Behalf": on_behalf, **more})[0]
        self.assertEqual(status("bob admin"), 200)
        self.assertEqual(status("bob read"), 403)
        for odd in ("bob", "bob ", "bob root", " admin", "a=b admin", "x" * 60 + " admin", "bob admin x"):
            self.assertIn(status(odd), (401, 403), odd)
        self.assertEqual(status("bob admin", Host="other.example"), 401)
        self.assertEqual(status("bob read", "/api/v1/node", **{"X-Headwater-Node": "origin-1"}), 200)
        self.assertEqual(status("bob read", "/api/v1/node", **{"X-Headwater-Node": "edge-1"}), 421)

    def test_node_that_is_not_reached_is_said_to_be_so(self):
        scheduler = "%s:%d" % self.scheduler.http
        gone = harness.free_port()
        for node_id, admin, wanted in (("silent", None, 409), ("gone", f"http://127.0.0.1:{gone}", 502),
                                       ("impostor", "http://%s:%d" % self.edge.admin, 502)):
            node = FakeNode(scheduler, node_id)
            more = {"admin": admin} if admin else {}
            self.assertEqual(self.beat(node, more), 200)
            status, problem = self.ask(f"/api/v1/nodes/{node_id}/api/v1/node")
            self.assertEqual(status, wanted, problem)
        self.assertIn("another node", problem["detail"])

    def beat(self, node, more):
        body = {"v": 1, "instance": str(node.instance), "seq": 1, "full": True, "role": "edge", "state": "active", **more}
        return self.ask(f"/v1/nodes/{node.id}/heartbeat", "POST", {**JSON, "Authorization": f"Bearer {harness.TOKEN}"}, json.dumps(body))[0]


if __name__ == "__main__":
    harness.main()
