"""What lets in is told to nobody: everything that writes, shows or tells is on, every credential is used, right and
wrong, in every place where clients put it, and none is found in what came out. A gate alone is told the query that it
is to judge (node/hooks/README.md)."""

import base64
import concurrent.futures
import json
import os
import shutil
import tempfile
import urllib.parse

import credentials
import events
import harness
import hls
import media
import relays
import swarm
from receiver import Receiver
from test_access import status_of
from test_api import write_tokens, secret, bearer
from websocket import WebSocket

RULES = ["sg publish=sign play=sign", "la publish=lal play=lal", "jw publish=jwt play=jwt", "us publish=open play=user",
         "ky publish=key play=key", "room publish=key play=open", "hk publish=hook play=hook"]
GATE = "mode=gate events=on_publish|on_play|on_stream_not_found"
TOKEN = "viewer-token-that-a-gate-judges"
# Made up for this test; each stands in one place alone, so that a find says where it came from.
T = {
    "tcurl_user": "tcurl-password-91c2", "tcurl_query": "tcurl-query-77ab", "app_query": "app-query-5d1e",
    "page_user": "page-password-8a3c", "page_query": "page-query-40f1", "cookie": "cookie-ee55",
    "wrong_password": "wrong-password-6b20", "wrong_token": "wrong-token-c7d9", "wrong_key": "wrong-key-e4f0",
    "wrong_lal": "0badc0de0badc0de0badc0de0badc0de", "wrong_admin": "wrong-admin-token-13579", "api_query": "api-query-2468",
    "source_user": "source-password-f00d", "source_query": "source-query-beef", "push_user": "push-password-aa11",
    "push_key": "push-stream-key-bb22", "conf_pull": "conf-pull-key-cc33", "conf_push": "conf-push-key-dd44",
    "hook_query": "hook-query-1a2b", "hook_path": "hook-path-3c4d", "hook_key": "hook-signing-key-5e6f",
    "gate_source_user": "gate-source-password-9c", "gate_source_query": "gate-source-query-7b", "redirect": "redirect-query-6a"}


def forms_of(text):
    """As it is, in an address, and as HTTP Basic has it."""
    yield text
    yield urllib.parse.quote(text, safe="")
    for lead in ("", "x", "xx"):  # whatever comes before it
        coded = base64.b64encode((lead + text).encode()).decode()
        yield coded[4 * bool(lead):-4]


class SecretsTest(harness.ClusterTest):
    """An origin and an edge of a cluster; a node that is pulled from and pushed to."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.files = tempfile.mkdtemp(prefix="headwater-secrets-")
        cls.addClassCleanup(shutil.rmtree, cls.files, ignore_errors=True)
        cls.far = harness.Cluster(origins=1, edges=0, schedulers=0, node_set={"log.level": "debug"})
        cls.enterClassContext(cls.far)
        cls.notified, cls.notified_lal, cls.gate = Receiver(secret=T["hook_key"]), Receiver(), Receiver(answer=cls.answer)
        for receiver in (cls.notified, cls.notified_lal, cls.gate):
            cls.addClassCleanup(receiver.close)
        key_file, tokens = os.path.join(cls.files, "hook.key"), os.path.join(cls.files, "tokens")
        with open(key_file, "w") as file:
            file.write(T["hook_key"] + "\n")
        write_tokens(tokens, ["eye", "boss"])
        targets = [f"{cls.notified.url('/' + T['hook_path'])}?k={T['hook_query']} secret_file={key_file}",
                   f"{cls.notified_lal.url('/{event}')} format=lal", f"{cls.gate.url('/')} {GATE}"]
        far = "%s:%d" % cls.far.origins[0].rtmp
        cls.cluster_args = {"origins": 1, "edges": 1, "scheduler_set": {"log.level": "debug"}, "origin_set": {
            "record.dir": os.path.join(cls.files, "records"), "record.rules": "sg/a formats=flv",
            "record.min_free_bytes": "0"}, "node_set": {
            **credentials.write_files(cls.files), "access.rules": RULES, "hooks.targets": targets, "hooks.update_s": "1",
            "compat": ["lal", "livego"], "admin.tokens_file": tokens, "log.level": "debug", "hls.segment_ms": "1000",
            "play_wait_ms": "2000", "publisher_grace_ms": "500", "relay.allowed_networks": "127.0.0.0/8",
            "access_log.file": os.path.join(cls.files, "access.log"),
            "pull.sources": f"far/conf urls=rtmp://u:{T['conf_pull']}@{far}/far/conf?k={T['conf_pull']}",
            "push.targets": f"sg/a url=rtmp://{far}/copy/conf?k={T['conf_push']}"}}
        super().setUpClass()
        cls.origin, cls.edge = cls.cluster.nodes
        cls.secrets = {**T, **{f"file {i}": text for i, text in enumerate(credentials.SECRETS)},
                       "node token": harness.TOKEN, "admin": secret("boss"), "read": secret("eye"), "a gate's": TOKEN}
        cls.told = [events.Reader(node) for node in cls.cluster.nodes]
        for reader in cls.told:
            cls.addClassCleanup(reader.close)
        cls.shown = []  # what the API has answered

    @classmethod
    def answer(cls, _, body):
        question = body["question"]
        if question["stream"] == "far/asked" and question["event"] == "on_stream_not_found":
            far = "%s:%d" % cls.far.origins[0].rtmp
            return 200, {"source": f"rtmp://u:{T['gate_source_user']}@{far}/far/asked"
                                   f"?k={T['gate_source_query']}"}
        if question["stream"] == "hk/away":
            return 200, {"redirect": f"http://elsewhere.example/x?{T['redirect']}"}
        return (200, None) if TOKEN in question["query"] or not question["stream"].startswith("hk/") else (403, None)

    # --- what is done ---

    def made(self, name, text):
        """A credential that was made here."""
        self.secrets[name] = text
        return text

    def api(self, method, path, body=None, node=None, headers=None):
        text = json.dumps(body) if body is not None else None
        status, _, answer = harness.http_request((node or self.origin).admin, path, method, {
            "Content-Type": "application/json", **(headers or {})}, text)
        return status, answer.decode()

    def publish_and_play_over_rtmp(self, flock):
        clip = swarm.Clip(media.clip("small"))
        status, made = self.api("POST", "/api/v1/stream-keys", {"id": "k", "stream": "ky/a", "actions": ["publish", "play"]})
        self.assertEqual(status, 200, made)
        key = self.made("stream key", json.loads(made)["key"])
        room = self.made("room key", json.loads(self.api("GET", "/control/get?room=secrets")[1])["data"])
        sign = self.made("signed publish", credentials.sign("sg/a", "publish"))
        jwt = self.made("jwt publish", credentials.jwt("jw/a", ["publish"]))
        lal = self.made("lal", credentials.lal("a").partition("=")[2])
        names = [f"sg/a?{sign}", f"jw/a?token={jwt}", f"la/a?lal_secret={lal}", f"ky/a?key={key}", f"hk/a?t={TOKEN}", "us/a"]
        encoders = [flock.publish(self.origin.rtmp, name, clip) for name in names]
        in_app = flock.publish(self.edge.rtmp, "jw/b", clip)
        in_app.session.tc_url = f"rtmp://u:{T['tcurl_user']}@x/jw?token={self.made('jwt b', credentials.jwt('jw/b', ['publish']))}&{T['tcurl_query']}"
        in_app.session.app = f"jw?{T['app_query']}"
        in_app.session.connect_more["pageUrl"] = self.page()
        flock.until(lambda: all(e.is_running for e in encoders + [in_app]), 20, "all publish")
        wrong = [f"sg/x?{sign}", f"jw/x?token={T['wrong_token']}", f"la/x?lal_secret={T['wrong_lal']}",
                 f"ky/a?key={T['wrong_key']}", f"hk/a?t={T['wrong_token']}"]
        refused = [flock.publish(node.rtmp, name, clip) for name in wrong for node in self.cluster.nodes]
        refused += [flock.play_rtmp(node.rtmp, name) for name in wrong for node in self.cluster.nodes]
        flock.until(lambda: all(c.session.statuses for c in refused), 20, "all are refused")
        viewers = [flock.play_rtmp(self.edge.rtmp, f"{stream}?{query}") for stream, query in self.queries().items()]
        flock.until(lambda: all(v.log.n_video for v in viewers), 20, "all play")
        for viewer in viewers + refused:
            viewer.close()
        return encoders + [in_app], room

    def page(self):
        return f"https://u:{T['page_user']}@site.example/p?k={T['page_query']}"

    def queries(self):
        if not hasattr(self, "query_of"):
            sign = self.made("signed play", credentials.sign("sg/a"))
            self.secrets["signature"] = sign.rpartition("=")[2]
            self.query_of = {"sg/a": sign, "jw/a": "token=" + self.made("jwt play", credentials.jwt("jw/a")),
                             "la/a": f"lal_secret={self.secrets['lal']}", "ky/a": f"key={self.secrets['stream key']}",
                             "hk/a": f"t={TOKEN}"}
        return self.query_of

    def play_over_http(self):
        more = {"Referer": self.page(), "Cookie": f"session={T['cookie']}", "User-Agent": "player/1"}
        header = self.made("jwt in a header", credentials.jwt("jw/a", for_s=777))
        for node in self.cluster.nodes:
            for stream, query in self.queries().items():
                for form in ("flv", "ts", "mp4", "m3u8"):
                    self.assertEqual(status_of(node.http, f"/{stream}.{form}?{query}", more)[0], 200, (stream, form))
                socket = WebSocket(node.http, f"/{stream}.flv?{query}").open()
                self.assertEqual(socket.status, 101)
                socket.close()
            for form in ("flv", "m3u8"):
                for wrong in (f"token={T['wrong_token']}", f"hw_sign={T['wrong_key']}&hw_expires=1", f"lal_secret={T['wrong_lal']}"):
                    for app in ("sg", "jw", "la", "ky", "hk"):
                        self.assertIn(status_of(node.http, f"/{app}/a.{form}?{wrong}", more)[0], (401, 403))
                basic = credentials.basic(password=T["wrong_password"])
                self.assertIn(status_of(node.http, f"/us/a.{form}", {**more, **basic})[0], (401, 429))
                self.assertEqual(status_of(node.http, f"/us/a.{form}", {**more, **credentials.basic()})[0], 200)
                self.assertEqual(status_of(node.http, f"/jw/a.{form}", {**more, "Authorization": f"Bearer {header}"})[0], 200)
            self.assertEqual(status_of(node.http, f"/hk/away.flv?t={TOKEN}")[0], 302)
            self.play_pieces(node)
        for path in (f"/sg/a.flv?{self.queries()['sg/a']}", f"/jw/a.m3u8?{self.queries()['jw/a']}"):
            self.assertEqual(status_of(self.cluster.scheduler.http, path)[0], 302)

    def play_pieces(self, node):
        client = hls.Client(node.http, "sg/a")
        text = client.get(f"/sg/a.m3u8?{self.queries()['sg/a']}")[2].decode()
        path = urllib.parse.urljoin("/sg/a.m3u8", hls.variants(text)[0][1])
        playlist = harness.wait_until(lambda: hls.Playlist(client.get(path)[2].decode()).segments, 20, "a segment")
        self.assertEqual(client.get(urllib.parse.urljoin(path, playlist[-1]["uri"]))[0], 200)

    def relay(self, flock):
        """From and to a server with passwords and keys in addresses; some of them to nowhere."""
        far, clip = self.far.origins[0], swarm.Clip(media.clip("small"))
        sources = [flock.publish(far.rtmp, name, clip) for name in ("far/conf", "far/asked", "far/api")]
        flock.until(lambda: all(s.is_running for s in sources), 10)
        place, user = "127.0.0.1:%d" % far.rtmp[1], T["source_user"]
        for stream, to in (("far/api", place), ("far/nowhere", f"127.0.0.1:{harness.free_port()}")):
            status, answer = relays.call(self.origin, "POST", "pulls", {
                "stream": stream, "urls": [f"rtmp://u:{user}@{to}/{stream}?k={T['source_query']}"], "mode": "always",
                **({"node": self.origin.id})})
            self.assertEqual(status, 200, answer)
        for i, to in enumerate((place, f"127.0.0.1:{harness.free_port()}")):
            status, answer = relays.call(self.origin, "POST", "pushes", {
                "id": f"p{i}", "stream": "sg/a", "url": f"rtmp://u:{T['push_user']}@{to}/copy/{i}?k={T['push_key']}"})
            self.assertEqual(status, 200, answer)
        viewers = [flock.play_flv(self.origin.http, name) for name in ("far/conf", "far/asked", "far/api")]
        flock.until(lambda: all(v.log.n_video for v in viewers), 20, "all are pulled")
        copies = {"copy/conf", "copy/0"}
        flock.until(lambda: copies <= {s["name"] for s in far.streams() if s["live"]}, 20, "all are pushed")

    def ask_the_api(self):
        """Everything that can be read, of who may and who may not."""
        paths = json.loads(self.api("GET", "/api/v1/openapi.json")[1])["paths"]
        session = self.origin.sessions()[0]["id"]
        for node in self.cluster.nodes:
            for path, calls in paths.items():
                if "get" in calls and path not in ("/api/v1/openapi.json", "/api/v1/events"):
                    path = path.replace("{id}", session).replace("{app}/{name}", "sg/a").replace("{name}", "sg/a")
                    self.shown.append(self.api("GET", f"{path}?k={T['api_query']}&session={session}", node=node)[1])
            for path in ("/metrics", "/api/stat/all_group", "/stat/livestat"):
                self.shown.append(self.api("GET", path, node=node)[1])
            for who in ({}, bearer("eye"), {"Authorization": f"Bearer {T['wrong_admin']}"}):
                headers = {**who, "Host": "node.example"}
                self.shown.append(self.api("PUT", f"/api/v1/limits?k={T['api_query']}", {"no": 1}, node, headers)[1])
        for path in ("streams", "nodes", "trace?stream=sg/a"):
            self.shown.append(harness.http_request(self.cluster.scheduler.http, f"/api/v1/{path}")[2].decode())

    # --- what came of it ---

    def outputs(self):
        """name -> text of each place where a secret must not be."""
        out = {process.name: process.log() for process in self.cluster.processes}
        out["far node"] = self.far.origins[0].log()
        with open(os.path.join(self.files, "access.log"), encoding="utf-8", errors="replace") as file:
            out["access log"] = file.read()
        out["api"] = "\n".join(self.shown)
        for i, reader in enumerate(self.told):
            out[f"events {i}"] = json.dumps(reader.events)
        out["notify hook"] = json.dumps([body for _, body, _ in self.notified.requests])
        out["notify hook in lal's words"] = json.dumps([body for _, body, _ in self.notified_lal.requests])
        return out

    def find(self, out, but=()):
        return sorted({f"{name}: {where}: ...{text[max(0, text.index(form) - 160):][:200]}"
                       for name, word in self.secrets.items() if name not in but
                       for where, text in out.items() for form in forms_of(word) if form in text})

    def test_no_secret_is_in_what_is_written_shown_or_told(self):
        with swarm.Swarm() as flock:
            encoders, room = self.publish_and_play_over_rtmp(flock)
            in_room = flock.publish(self.origin.rtmp, f"room/{room}", swarm.Clip(media.clip("small")))
            nobody = flock.publish(self.origin.rtmp, f"room/{self.made('room key that is none', '0f' * 24)}", swarm.Clip(media.clip("small")))
            flock.until(lambda: in_room.session.statuses and nobody.session.statuses, 10)
            self.relay(flock)
            self.run_beside(flock, self.play_over_http)
            self.run_beside(flock, self.ask_the_api)
            for encoder in encoders:
                encoder.close()
            flock.run(1.5)
        for name in ("on_rtmp_connect", "on_publish", "on_publish_done", "on_play", "on_play_done", "on_pull_start", "on_pull_stop",
                     "on_push_start", "on_push_stop", "on_hls_segment", "on_record_segment", "on_update", "on_stream_not_found"):
            self.notified.wait_event(name)
        harness.wait_until(lambda: len(self.notified_lal.requests) > 10, 10, "lal's events")
        out = self.outputs()
        self.assertIn(" debug ", out[self.origin.name] + out[self.edge.name])
        self.assertIn(" audit ", out[self.origin.name])
        self.assertEqual(self.find(out), [])
        for where, text in out.items():
            for word in ("hw_sign=", "hw_grant=", "lal_secret=", "token=ey"):
                self.assertNotIn(word, text, where)
        self.assertEqual(self.notified.problems, [])
        questions = self.gate.questions()
        self.assertEqual(set(questions[0]), {"id", "event", "time", "node", "stream", "query", "protocol", "session", "peer",
                                             "referrer", "agent", "trace"})
        judged = [{**q, "query": "", "referrer": ""} for q in questions]
        self.assertEqual(self.find({"gate": json.dumps(judged)}), [])
        for name in ("jwt in a header", "cookie", "wrong_password", "tcurl_user", "node token"):
            self.assertNotIn(self.secrets[name], json.dumps(questions), name)

    def run_beside(self, flock, what):
        """The swarm goes on meanwhile."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            done = pool.submit(what)
            flock.until(done.done, 60, what.__name__)
            done.result()


if __name__ == "__main__":
    harness.main()
