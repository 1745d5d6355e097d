"""The description of the API against the server that it describes: every operation is called, and every
answer is looked at."""

import json
import os
import re
import tempfile
import unittest

import events
import harness
import media
import outputs
import records
import schema

METHODS = ("get", "put", "post", "delete", "patch")
ROUTE = re.compile(r'\{"([A-Z]+)",\s+"(/[^"]*)",\s+\w+,\s+(NONE|READ|OPERATE|ADMIN)\}')
SETTINGS = re.compile(r'    SETTING_ROUTES\("([^"]+)",\s+(\w+),\s+(\w+)\)')
STREAM = "live/described"


def routes_of_the_program():
    """{(method, path): scope} of the table that is compiled."""
    with open(os.path.join(harness.ROOT, "node", "control", "admin.c"), encoding="utf-8") as file:
        text = file.read()
    table = text[text.index("k_routes[]"):]
    table = table[:table.index("};")]
    found = {(m.lower(), path.replace("...}", "}")): scope.lower() for m, path, scope in ROUTE.findall(table)}
    assert len(found) == table.count('{"'), "a row that this test cannot read"
    for path, see, change in SETTINGS.findall(table):
        for method, end, scope in (("get", "", see), ("post", "", change), ("get", "/{id}", see),
                                   ("delete", "/{id}", change)):
            found[method, f"/api/v1/{path}{end}"] = scope.lower()
    return found


class OpenApiTest(harness.ClusterTest):
    cluster_args = dict(schedulers=0, origins=1, edges=0,
                        node_set={"hooks.targets": "http://127.0.0.1:1/", "hooks.update_s": "1"})

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.cluster_args["node_set"] |= {"record.dir": folder.name, "record.rules": "* formats=ts|hls split_s=1"}
        super().setUpClass()
        cls.node = cls.cluster.origins[0]
        cls.api = harness.get_json(cls.node.admin, "/api/v1/openapi.json")
        cls.checker = schema.Checker(cls.api)
        cls.publisher = media.publish(media.clip("small"), cls.node.url(STREAM), cls.cluster.folder,
                                      loop=True)
        cls.players = [outputs.Player(cls.node.http, STREAM, "flv"), outputs.Player(cls.node.http, STREAM, "ts", True)]
        for player in cls.players:
            harness.wait_until(lambda: player.has(10000), 15, player.name)
        harness.wait_until(lambda: harness.http_request(cls.node.http, f"/{STREAM}.m3u8")[0] == 200, 15, "HLS")
        records.wait_listed(cls.node, STREAM, 3)

    @classmethod
    def tearDownClass(cls):
        cls.publisher.kill()
        super().tearDownClass()

    def operations(self):
        for path, item in self.api["paths"].items():
            for method in METHODS:
                if method in item:
                    yield method, path, item[method]

    def describe(self, method, path):
        return self.api["paths"][path][method]

    def call(self, method, path, query="", body=None, headers=None, **args):
        """Asks, and checks the answer against its description. Returns (status, parsed body)."""
        filled = path
        for name, value in args.items():
            filled = filled.replace("{%s}" % name, value)
        sent = {"Content-Type": "application/json"} if method in ("put", "post", "delete") else {}
        status, fields, text = harness.http_request(
            self.node.admin, filled + query, method.upper(), {**sent, **(headers or {})},
            json.dumps(body) if body is not None else None)
        return status, self.check(self.describe(method, path), status, fields, text, f"{method} {filled}{query}")

    def check(self, operation, status, fields, text, where):
        self.assertIn(str(status), operation["responses"], f"{where}: {text[:200]!r}")
        response = self.checker.resolve(operation["responses"][str(status)])
        content = response.get("content", {})
        if not content:
            self.assertEqual(text, b"", where)
            return None
        kind = fields["content-type"].split(";")[0]
        self.assertIn(kind, content, where)
        if kind == "image/jpeg":
            self.assertEqual(text[:3], b"\xff\xd8\xff", where)
            return text
        if "json" not in kind:
            return text.decode()
        value = json.loads(text)
        self.assertEqual(self.checker.faults(value, content[kind]["schema"]), [], where)
        return value

    # --- the file ---

    def test_routes_and_description_have_the_same_operations(self):
        described = {(method, path): operation.get("x-scope", "none") for method, path, operation in self.operations()}
        self.assertEqual(described, routes_of_the_program())

    def test_operations_say_what_they_have_to(self):
        ids = [operation["operationId"] for _, _, operation in self.operations()]
        self.assertEqual(len(ids), len(set(ids)))
        for method, path, operation in self.operations():
            where = f"{method} {path}"
            self.assertTrue(operation["summary"], where)
            named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            self.assertEqual(named, set(re.findall(r"\{(\w+)\}", path)), where)
            protected = "x-scope" in operation
            self.assertEqual(bool(operation["security"]), protected, where)
            self.assertEqual({"401", "403"} <= set(operation["responses"]), protected, where)
            if method != "get":
                self.assertIn("415", operation["responses"], where)
        self.assertEqual(self.api["openapi"], "3.1.0")
        self.assertIn("token", self.api["components"]["securitySchemes"])

    def test_every_reference_leads_somewhere(self):
        text = json.dumps(self.api)
        for target in set(re.findall(r'"\$ref": "([^"]+)"', text)):
            self.assertTrue(self.checker.resolve({"$ref": target}), target)
        self.assertNotIn("x-item", text)

    def test_schemas_of_the_configuration_are_those_of_the_program(self):
        schemas = self.api["components"]["schemas"]
        config = harness.get_json(self.node.admin, "/api/v1/config")
        self.assertEqual(set(schemas["Config"]["properties"]), set(config))
        self.assertEqual(schemas["LogLevel"]["properties"]["level"]["enum"], ["debug", "info", "warn", "error"])
        self.assertIn("viewers", schemas["Limits"]["properties"])
        self.assertNotIn("http_head_ms", schemas["Limits"]["properties"])

    # --- every operation ---

    def calls(self):
        """(method, path, wanted status, arguments of call()): each operation at least once, each in its turn. Status
        None: any that is described."""
        node, sessions = self.node.id, self.node.sessions()
        play = next(s["id"] for s in sessions if s["kind"] == "play" and s["protocol"] == "flv")
        group = {"name": "live/group", "renditions": [STREAM, "live/other"]}
        yield "get", "/healthz", 200, {}
        yield "get", "/readyz", 200, {}
        yield "get", "/metrics", 200, {}
        yield "get", "/", 200, {}
        yield "get", "/console/{file}", 200, {"file": "main.js"}
        yield "get", "/console/{file}", 404, {"file": "none.js"}
        yield "get", "/api/v1/console", 200, {}
        yield "get", "/api/v1/console/me", 200, {}
        yield "get", "/api/v1/history", 200, {}
        yield "get", "/api/v1/openapi.json", 200, {}
        yield "get", "/api/v1/node", 200, {}
        yield "get", "/api/v1/config", 200, {}
        yield "get", "/api/v1/hooks", 200, {}
        yield "get", "/api/v1/limits", 200, {}
        yield "put", "/api/v1/limits", 200, {"body": {"viewers": 1000}}
        yield "put", "/api/v1/limits", 400, {"body": {"viewers": "many"}}
        yield "get", "/api/v1/log/level", 200, {}
        yield "put", "/api/v1/log/level", 200, {"body": {"level": "info"}}
        yield "put", "/api/v1/log/level", 400, {"body": {"level": 1}}
        yield "get", "/api/v1/events", 400, {"query": "?types=x"}
        yield "get", "/api/v1/streams", 200, {"query": "?limit=1"}
        yield "get", "/api/v1/streams", 400, {"query": "?limit=0"}
        yield "get", "/api/v1/streams", 400, {"query": "?limit=1&limit=2"}
        yield "delete", "/api/v1/sessions", 400, {"query": "?kind=idle&stream=%00"}  # not: all that are idle
        yield "delete", "/api/v1/sessions", 400, {"query": "?kind=idle&stream=live%2"}
        yield "get", "/api/v1/streams/{name}", 200, {"name": STREAM}
        yield "get", "/api/v1/streams/{name}", 404, {"name": "live/none"}
        yield "get", "/api/v1/sessions", 200, {}
        yield "get", "/api/v1/sessions", 400, {"query": "?client=x"}
        yield "get", "/api/v1/sessions/{id}", 200, {"id": play}
        yield "get", "/api/v1/sessions/{id}", 404, {"id": "f-000000000000"}
        yield "get", "/api/v1/trace", 200, {"query": f"?session={node}/{play}"}
        yield "get", "/api/v1/trace", 404, {"query": "?session=f-000000000000"}
        yield "get", "/api/v1/trace", 400, {}
        for path, a_good, a_bad, name in (
                ("bans", {"net": "192.0.2.0/24", "reason": "test"}, {"net": "everybody"}, None),
                ("hls/groups", group, {"name": "live/group3", "renditions": []}, "live/group")):
            yield "post", f"/api/v1/{path}", 200, {"body": a_good}
            yield "post", f"/api/v1/{path}", 400, {"body": a_bad}
            yield "post", f"/api/v1/{path}", 400, {"body": {"surprise": 1}}
            yield "get", f"/api/v1/{path}", 200, {"query": "?limit=1"}
            item = harness.get_json(self.node.admin, f"/api/v1/{path}")["items"][0]
            there = {"id": name or item["id"]}
            yield "get", f"/api/v1/{path}/{{id}}", 200, there
            yield "delete", f"/api/v1/{path}/{{id}}", 204, there
            yield "delete", f"/api/v1/{path}/{{id}}", 404, there
            yield "get", f"/api/v1/{path}/{{id}}", 404, there
        yield "get", "/api/v1/relays", 200, {"query": "?limit=1"}
        yield "get", "/api/v1/relays", 400, {"query": "?limit=0"}
        for path in ("stream-keys", "relays/pulls", "relays/pushes", "records/rules"):
            yield "get", f"/api/v1/{path}", None, {}  # 404 where nobody owns the kind
            yield "post", f"/api/v1/{path}", None, {"body": {"surprise": 1}}
            yield "get", f"/api/v1/{path}/{{id}}", 404, {"id": "none"}
            yield "delete", f"/api/v1/{path}/{{id}}", 404, {"id": "none"}
        yield from self.calls_of_records()
        yield "post", "/api/v1/nodes/{id}/drain", 200, {"id": node}
        yield "get", "/readyz", 503, {}
        yield "delete", "/api/v1/nodes/{id}/drain", 200, {"id": node}
        yield "post", "/api/v1/nodes/{id}/drain", 404, {"id": "other"}
        yield "delete", "/api/v1/nodes/{id}/drain", 404, {"id": "other"}
        yield "delete", "/api/v1/sessions/{id}", 204, {"id": play}
        yield "delete", "/api/v1/sessions/{id}", 404, {"id": play}
        yield "delete", "/api/v1/sessions", 200, {"query": f"?stream={STREAM}&kind=play"}
        yield "delete", "/api/v1/sessions", 400, {}
        yield "delete", "/api/v1/streams/{name}", 204, {"name": STREAM}
        yield "delete", "/api/v1/streams/{name}", 404, {"name": "live/none"}

    def calls_of_records(self):
        finished = records.listed(self.node, STREAM)
        files, snapshot = "/api/v1/records/files/{name}", "/api/v1/streams/{app}/{name}/snapshot.jpg"
        yield "get", "/api/v1/records", 200, {"query": f"?limit=2&stream={STREAM}"}
        yield "get", "/api/v1/records", 200, {"query": "?after=" + finished[0]["id"]}
        yield "get", "/api/v1/records", 400, {"query": "?limit=0"}
        yield "get", "/api/v1/records", 400, {"query": "?stream=.."}
        yield "get", "/api/v1/records/running", 200, {}
        yield "get", "/api/v1/records/running", 400, {"query": "?limit=x"}
        for kind in ("ts", "hls"):
            name = next(record["id"] for record in finished if record["format"] == kind)
            yield "get", files, 200, {"name": name}
            yield "delete", files, 204, {"name": name}
            yield "delete", files, 404, {"name": name}
            yield "get", files, 404, {"name": name}
        yield "get", files, 404, {"name": "live/none"}
        app, name = STREAM.split("/")
        yield "get", snapshot, 200, {"app": app, "name": name}
        yield "get", snapshot, 404, {"app": app, "name": "none"}

    def test_z_every_operation_answers_as_described(self):
        """The last one: it ends the stream."""
        reader = events.Reader(self.node)
        called = {("get", "/api/v1/events")}  # its answer has no end: read below
        for method, path, wanted, args in self.calls():
            status, _ = self.call(method, path, **args)
            self.assertIn(status, (wanted,) if wanted else (200, 400, 404), f"{method} {path} {args}")
            called.add((method, path))
        self.assertEqual(called, {(method, path) for method, path, _ in self.operations()})
        reader.wait("on_publish_done", stream=STREAM)
        event = {"$ref": "#/components/schemas/Event"}
        self.assertGreater(len(reader.events), 4)
        for told in reader.events:
            self.assertEqual(self.checker.faults(told["data"], event), [], told)
        reader.close()

    def test_every_operation_says_401_403_and_415_as_described(self):
        for method, path, operation in self.operations():
            if "x-scope" not in operation:
                continue
            args = {name: "x" for name in re.findall(r"\{(\w+)\}", path)}
            status, _ = self.call(method, path, headers={"Host": "other.example"}, **args)
            self.assertEqual(status, 401, f"{method} {path}")
            if method != "get":
                status, _ = self.call(method, path, headers={"Content-Type": "text/plain"}, **args)
                self.assertEqual(status, 415, f"{method} {path}")

    def test_no_operation_takes_an_argument_that_is_not_described(self):
        for method, path, operation in self.operations():
            if method != "get":
                continue
            args = {name: "x" for name in re.findall(r"\{(\w+)\}", path)}
            filled = re.sub(r"\{(\w+)\}", lambda m: args[m[1]], path)
            status, _, text = harness.http_request(self.node.admin, filled + "?surprise=1")
            self.assertEqual(status, 400, path)
            self.assertIn(b"surprise", text)


class SchemaTest(unittest.TestCase):
    """The checker itself has to find what is wrong."""

    def test_checker_finds_what_does_not_fit(self):
        thing = {"type": "object", "required": ["a"], "additionalProperties": False, "properties": {
            "a": {"type": ["integer", "null"], "minimum": 0, "maximum": 9},
            "b": {"type": "array", "items": {"type": "string", "pattern": "^x", "maxLength": 3}, "maxItems": 1},
            "c": {"oneOf": [{"type": "null"}, {"$ref": "#/d"}]}}}
        checker = schema.Checker({"d": {"enum": ["e"]}})
        for value, n_faults in (({"a": 1}, 0), ({"a": None}, 0), ({"a": 1, "b": ["xy"], "c": "e"}, 0), ({}, 1),
                                ({"a": True}, 1), ({"a": -1}, 1), ({"a": 10}, 1), ({"a": "1"}, 1), ([], 1),
                                ({"a": 1, "z": 1}, 1), ({"a": 1, "b": ["y"]}, 1), ({"a": 1, "b": ["xxxx"]}, 1),
                                ({"a": 1, "b": ["x", "x"]}, 1), ({"a": 1, "c": "f"}, 1)):
            self.assertEqual(len(checker.faults(value, thing)), n_faults, value)


if __name__ == "__main__":
    harness.main()
