"""Who may publish and play: signed addresses, lal_secret, tokens, users; every protocol, through an edge."""

import concurrent.futures
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse

import balancer
import credentials
import harness
import hls
import media
import swarm
from websocket import WebSocket

RULES = ["shut publish=closed play=closed", "sg publish=sign play=sign", "la publish=open play=lal",
         "jw publish=jwt play=jwt", "us publish=open play=user", "ky publish=key play=key", "mix publish=open play=sign|jwt|user"]
FORMS = ("flv", "ts", "mp4")


def status_of(address, path, headers=None):
    """(status, fields) of the answer's head, whatever follows."""
    with socket.create_connection(address, 20) as sock:
        lines = [f"GET {path} HTTP/1.1", "Host: x", *(f"{k}: {v}" for k, v in (headers or {}).items())]
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = harness.read_head(sock).partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    return int(head[0].split(" ")[1]), {k.lower(): v.strip() for k, _, v in (x.partition(":") for x in head[1:])}


class AccessTest(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        cls.files = tempfile.mkdtemp(prefix="headwater-access-")
        sets = {**credentials.write_files(cls.files), "access.rules": RULES, "play_wait_ms": "3000",
                "hls.segment_ms": "1000", "publisher_grace_ms": "1000", "log.level": "debug",
                "access_log.file": os.path.join(cls.files, "access.log")}
        cls.secrets = list(credentials.SECRETS)  # and those that are made
        cls.cluster_args = {"origins": 1, "edges": 1, "node_set": sets}
        super().setUpClass()
        cls.origin, cls.edge = cls.cluster.origins[0], cls.cluster.edges[0]
        cls.encoders = []
        for stream, query in (("sg/a", credentials.sign("sg/a", "publish")), ("la/a", ""), ("us/a", ""),
                              ("jw/a", "token=" + credentials.jwt("jw/a", ["publish"])), ("mix/a", ""), ("live/a", "")):
            url = cls.origin.url(stream) + (f"?{query}" if query else "")
            cls.encoders.append(media.publish(media.clip("small"), url, cls.cluster.folder,
                                              f"enc-{stream.replace('/', '-')}", loop=True))
        for stream in ("sg/a", "la/a", "us/a", "jw/a", "mix/a", "live/a"):
            cls.cluster.wait_route(stream)

    @classmethod
    def tearDownClass(cls):
        for encoder in cls.encoders:
            encoder.kill()
        super().tearDownClass()
        shutil.rmtree(cls.files)

    def assert_status(self, expected, path, headers=None, node=None):
        status, fields = status_of((node or self.edge).http, path, headers)
        self.assertEqual(status, expected, (path, fields))
        return fields

    # --- ways in ---

    def test_signed_urls_play_over_every_form_at_an_edge(self):
        query = credentials.sign("sg/a")
        for form in FORMS:
            with self.subTest(form=form):
                self.assert_status(200, f"/sg/a.{form}?{query}")
                fields = self.assert_status(401, f"/sg/a.{form}")
                self.assertEqual(fields["content-type"], "application/problem+json")
                ws = WebSocket(self.edge.http, f"/sg/a.{form}?{query}").open()
                self.assertEqual(ws.status, 101)
                ws.close()
                ws = WebSocket(self.edge.http, f"/sg/a.{form}").open()
                self.assertEqual(ws.status, 401)
                ws.close()

    def test_signatures_hold_for_what_was_signed_alone(self):
        sign = credentials.sign
        bad = {"expired": sign("sg/a", for_s=-1), "another stream": sign("sg/b"), "to publish": sign("sg/a", "publish"),
               "another network": sign("sg/a", net="10.0.0.0/8"), "a wrong secret": sign("sg/a", secret="x" * 20),
               "later than signed": re.sub(r"hw_expires=\d+", "hw_expires=99999999999", sign("sg/a")),
               "no network": sign("sg/a", net="127.0.0.0/8").replace("&hw_net=127.0.0.0%2F8", ""),
               "no hexadecimal": "hw_expires=99999999999&hw_sign=zz", "a lal secret": credentials.lal("a")}
        for what, query in bad.items():
            with self.subTest(what=what):
                status, _ = status_of(self.edge.http, f"/sg/a.flv?{query}")
                self.assertEqual(status, 401 if what == "a lal secret" else 403)
        self.assert_status(200, f"/sg/a.flv?{sign('sg/a', key='2026b')}")
        self.assert_status(200, f"/sg/a.flv?{sign('sg/a', net='127.0.0.0/8')}")

    def test_the_tool_signs_what_nodes_take(self):
        argv = [os.path.join(harness.BIN_DIR, "headwater-tool"), "sign", "--keys", os.path.join(self.files, "sign"),
                "--key", "2026b", "--stream", "sg/a", "--net", "127.0.0.0/8", "--url", "http://x/sg/a.flv"]
        url = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        self.assert_status(200, url.removeprefix("http://x"))

    def test_lal_secret_is_what_lal_takes(self):
        self.assert_status(200, "/la/a.flv?" + credentials.lal("a"))
        self.assert_status(200, "/la/a.flv?" + credentials.lal("a").upper().replace("LAL_SECRET", "lal_secret"))
        self.assert_status(403, "/la/a.flv?" + credentials.lal("b"))
        self.assert_status(401, "/la/a.flv")

    def test_tokens_hold_for_their_claims_alone(self):
        jwt = credentials.jwt
        good = {"exact": jwt("jw/a"), "the app": jwt("jw/*"), "all": jwt("*"), "a list": jwt(["x/y", "jw/a"])}
        bad = {"expired": jwt("jw/a", for_s=-1), "not yet": jwt("jw/a", nbf=int(time.time()) + 100),
               "another stream": jwt("jw/b"), "another app": jwt("sg/*"), "to publish": jwt("jw/a", ["publish"]),
               "another key": jwt("jw/a", key=b"x" * 32), "none": jwt("jw/a", header={"alg": "none"}),
               "none, unsigned": jwt("jw/a", header={"alg": "none"}).rpartition(".")[0] + ".",
               "another algorithm": jwt("jw/a", header={"alg": "RS256"}), "no token": "x.y"}
        for what, token in good.items():
            with self.subTest(what=what):
                self.assert_status(200, f"/jw/a.flv?token={token}")
                self.assert_status(200, "/jw/a.flv", {"Authorization": f"Bearer {token}"})
        for what, token in bad.items():
            with self.subTest(what=what):
                self.assert_status(403, f"/jw/a.flv?token={token}")
                self.assert_status(403, "/jw/a.flv", {"Authorization": f"Bearer {token}"})

    def test_users_play_with_their_password(self):
        fields = self.assert_status(401, "/us/a.flv")
        self.assertTrue(fields["www-authenticate"].startswith("Basic "), fields)
        self.assert_status(200, "/us/a.flv", credentials.basic())
        self.assert_status(401, "/us/a.flv", credentials.basic(password="correct horse "))
        self.assert_status(401, "/us/a.flv", credentials.basic(user="nobody"))

    def test_guessing_is_slowed_down_and_hurts_nobody_who_is_in(self):
        self.assert_status(200, "/us/a.flv", credentials.basic(), self.origin)
        with concurrent.futures.ThreadPoolExecutor(15) as pool:  # at a time: no way around
            answers = list(pool.map(lambda i: status_of(self.origin.http, "/us/a.flv",
                                                        credentials.basic(password=f"guess{i}")), range(15)))
        self.assertLessEqual(sum(status == 401 for status, _ in answers), 11)
        answers.append(status_of(self.origin.http, "/us/a.flv", credentials.basic(password="one more")))
        self.assertEqual({status for status, _ in answers}, {401, 429})
        self.assertTrue(all(int(fields["retry-after"]) > 0 for status, fields in answers if status == 429))
        self.assert_status(200, "/us/a.flv", credentials.basic(), self.origin)

    def test_any_of_several_ways_lets_in(self):
        self.assert_status(200, "/mix/a.flv?" + credentials.sign("mix/a"))
        self.assert_status(200, "/mix/a.flv?token=" + credentials.jwt("mix/a"))
        self.assert_status(200, "/mix/a.flv", credentials.basic())
        self.assert_status(200, "/mix/a.flv?hw_sign=0&token=" + credentials.jwt("mix/a"))
        self.assert_status(401, "/mix/a.flv?lal_secret=x")

    def test_a_closed_app_is_closed_and_an_open_one_open(self):
        self.assert_status(403, "/shut/a.flv")
        self.assert_status(403, "/shut/a.m3u8")
        self.assert_status(200, "/live/a.flv")
        lines = [line for line in self.origin.log().splitlines() if 'msg="open to everybody"' in line]
        said = {(re.search(r"app=(\S+)", line)[1], re.search(r"action=(\S+)", line)[1]) for line in lines}
        self.assertEqual(said, {("la", "publish"), ("us", "publish"), ("mix", "publish"),
                                ("others", "publish"), ("others", "play")})

    def api(self, method, path, body=None):
        headers = {"Content-Type": "application/json"}
        status, _, answer = harness.http_request(self.origin.admin, path, method, headers,
                                                 json.dumps(body) if body is not None else None)
        return status, json.loads(answer) if answer else None

    def test_stream_keys_are_made_replaced_and_revoked(self):
        path = "/api/v1/stream-keys"
        status, made = self.api("POST", path, {"id": "cam-1", "stream": "ky/a", "actions": ["publish", "play"]})
        self.assertEqual(status, 200, made)
        secret = made["key"]
        self.secrets.append(secret)
        self.assertNotIn("hash", made)
        shown = json.dumps([self.api("GET", path)[1], self.api("GET", f"{path}/cam-1")[1]])
        self.assertIn("cam-1", shown)
        for hidden in (secret, '"key"', '"hash"'):
            self.assertNotIn(hidden, shown)
        with swarm.Swarm() as flock:
            clip = swarm.Clip(media.clip("small"))
            refused = [flock.publish(self.origin.rtmp, name, clip) for name in ("ky/a", "ky/a?key=x", f"ky/b?key={secret}")]
            flock.until(lambda: all(c.session.statuses for c in refused), 10)
            self.assertEqual({c.session.statuses[-1][0] for c in refused}, {"NetStream.Publish.BadName"})
            encoder = flock.publish(self.origin.rtmp, f"ky/a?key={secret}", clip)  # as OBS sends its stream key
            flock.until(lambda: encoder.is_running, 10)
            viewer = flock.play_flv(self.origin.http, f"ky/a.flv?key={secret}&x=")
            flock.until(lambda: viewer.log.n_video > 0, 10)
            status, again = self.api("POST", path, {"id": "cam-1", "stream": "ky/a"})
            self.assertNotEqual(again["key"], secret)
            late = flock.publish(self.origin.rtmp, f"ky/a?key={secret}", clip)
            flock.until(lambda: late.session.statuses, 10)
            self.assertIn("stream key is wrong", late.session.statuses[-1][1])
            self.assert_status(403, f"/ky/a.flv?key={again['key']}", node=self.origin)  # it only publishes
        self.assertEqual(self.api("DELETE", f"{path}/cam-1")[0], 204)
        self.assertEqual(self.api("DELETE", f"{path}/cam-1")[0], 404)
        with swarm.Swarm() as flock:
            encoder = flock.publish(self.origin.rtmp, f"ky/a?key={again['key']}", clip)
            flock.until(lambda: encoder.session.statuses, 10)
            self.assertEqual(encoder.session.statuses[-1][0], "NetStream.Publish.BadName")

    def test_stream_keys_hold_in_the_whole_cluster_within_a_second(self):
        made = self.api("POST", "/api/v1/stream-keys", {"id": "far", "stream": "ky/*", "actions": ["publish"]})[1]
        def publish():
            with swarm.Swarm() as flock:
                encoder = flock.publish(self.edge.rtmp, f"ky/far?key={made['key']}", swarm.Clip(media.clip("small")))
                flock.until(lambda: encoder.session.statuses, 10)
                return encoder.session.statuses[-1][0]
        harness.wait_until(lambda: publish() == "NetStream.Publish.Start", 1, "the edge knows the key")
        self.assertEqual(self.api("DELETE", "/api/v1/stream-keys/far")[0], 204)
        harness.wait_until(lambda: publish() == "NetStream.Publish.BadName", 1, "the edge knows that it is gone")

    def test_bad_stream_keys_are_refused_with_the_path(self):
        for body, path in (({}, "stream"), ({"stream": "x"}, "stream"), ({"stream": "a/b", "actions": ["fly"]}, "actions"),
                           ({"stream": "a/b", "expires": "soon"}, "expires"), ({"stream": "a/b", "no": 1}, "no"),
                           ({"stream": "a/b", "hash": "zz"}, "hash"), ([], "body")):
            with self.subTest(body=body):
                status, answer = self.api("POST", "/api/v1/stream-keys", body)
                self.assertEqual(status, 400)
                self.assertIn(path, answer["detail"])

    # --- RTMP, uploads ---

    def test_rtmp_clients_hear_why_they_are_refused(self):
        with swarm.Swarm() as flock:
            clip = swarm.Clip(media.clip("small"))
            player = flock.play_rtmp(self.edge.rtmp, "sg/a")
            encoder = flock.publish(self.edge.rtmp, f"sg/b?{credentials.sign('sg/a', 'publish')}", clip)
            token = flock.publish(self.edge.rtmp, f"jw/b?token={credentials.jwt('jw/b')}", clip)
            flock.until(lambda: all(c.session.statuses for c in (player, encoder, token)), 10)
            self.assertEqual(player.session.statuses[-1][0], "NetStream.Play.Failed")
            self.assertIn("needs credentials", player.session.statuses[-1][1])
            self.assertEqual(encoder.session.statuses[-1][0], "NetStream.Publish.BadName")
            self.assertIn("not that of this address", encoder.session.statuses[-1][1])
            self.assertIn("not for this action", token.session.statuses[-1][1])
            good = flock.play_rtmp(self.edge.rtmp, f"sg/a?{credentials.sign('sg/a')}")
            jwt = flock.play_rtmp(self.edge.rtmp, f"jw/a?token={credentials.jwt('jw/a')}")
            flock.until(lambda: good.log.n_video > 5 and jwt.log.n_video > 5, 15, "who may plays")

    def test_a_token_in_tcurl_counts_and_forwarded_publishes_are_not_asked_again(self):
        with swarm.Swarm() as flock:
            encoder = flock.publish(self.edge.rtmp, "jw/c", swarm.Clip(media.clip("small")))
            encoder.session.tc_url += f"?token={credentials.jwt('jw/c', ['publish'])}"
            flock.until(lambda: encoder.is_running, 10, "it publishes at the edge, by an origin")
            viewer = flock.play_flv(self.origin.http, "jw/c",
                                    [f"Authorization: Bearer {credentials.jwt('jw/c')}"])
            flock.until(lambda: viewer.log.n_video > 0, 10, "it plays at the origin")

    def test_uploads_need_credentials(self):
        def upload(query, *more):
            argv = [harness.tool("curl"), "-sS", "-T", media.clip("small"), "-o", "/dev/null", "-w", "%{http_code}",
                    *more, self.origin.url("jw/up", "http") + query]
            return subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=30).stdout
        good = credentials.jwt("jw/up", ["publish"])
        self.assertEqual(upload(""), "401")
        self.assertEqual(upload(f"?token={credentials.jwt('jw/up')}"), "403")
        self.assertEqual(upload(f"?token={good}"), "200")
        self.assertEqual(upload("", "-H", f"Authorization: Bearer {good}"), "200")

    # --- HLS ---

    def hls_get(self, path, node=None):
        status, fields, body = harness.http_request((node or self.edge).http, path, timeout_s=20)
        return status, fields, body.decode("latin-1")

    def playlist(self, node=None):
        """(path, text) of the media playlist that who may play is led to."""
        status, fields, text = self.hls_get(f"/sg/a.m3u8?{credentials.sign('sg/a')}", node)
        self.assertEqual(status, 200, text)
        self.assertEqual(fields["cache-control"], "no-store")
        path = urllib.parse.urljoin("/sg/a.m3u8", hls.variants(text)[0][1])
        self.assertIn("hw_grant=", path)
        status, fields, text = self.hls_get(path, node)
        self.assertEqual(status, 200, text)
        return path, text

    def test_hls_without_credentials_gets_401_and_no_body_of_media(self):
        """Neither 200 with an empty body, nor segments for everybody."""
        _, text = self.playlist()
        pieces = re.findall(r'URI="([^"]+)"', text) + [x for x in text.split("\n") if x and x[0] != "#"]
        self.assertTrue(pieces)
        for path in ("/sg/a.m3u8", "/sg/a/index.m3u8", "/sg/a/fmp4.m3u8", "/sg/a/ts.m3u8", "/sg/a/record.m3u8",
                     *(f"/sg/a/{piece.partition('?')[0]}" for piece in pieces)):
            with self.subTest(path=path):
                status, fields, body = self.hls_get(path)
                self.assertEqual(status, 401)
                self.assertEqual(fields["content-type"], "application/problem+json")
        for piece in pieces:
            with self.subTest(piece=piece):
                status, fields, body = self.hls_get(f"/sg/a/{piece}")
                self.assertIn(status, (200, 404))  # what left the window meanwhile
                if status == 200:
                    self.assertIn("private", fields["cache-control"])

    def test_grants_hold_on_every_node_and_for_their_stream_session_and_kind_alone(self):
        path, text = self.playlist(self.edge)
        self.assertEqual(self.hls_get(path, self.origin)[0], 200)
        piece = next(x for x in text.split("\n") if x and x[0] != "#")
        session = re.search(r"session=([^&]+)", piece)[1]
        grant = re.search(r"hw_grant=(\S+)", piece)[1]
        wrong = {"another session": path.replace(session, "h-000000000000"),
                 "a piece's": re.sub(r"hw_grant=\S+", f"hw_grant={grant}", path),
                 "another stream": path.replace("/sg/a/", "/mix/a/"), "changed": path[:-3] + "AAA",
                 "longer": path.replace("hw_grant=", "hw_grant=f"),
                 "for new ones": "/sg/a.m3u8?" + path.partition("?")[2],
                 "for new ones, inside": "/sg/a/index.m3u8?" + path.partition("?")[2]}
        for what, other in wrong.items():
            with self.subTest(what=what):
                self.assertEqual(self.hls_get(other)[0], 401)

    def test_open_streams_have_one_playlist_for_all(self):
        client = hls.Client(self.edge.http, "live/a")
        client.multivariant()
        status, fields, text = self.hls_get(client.media_path())
        self.assertEqual(status, 200)
        self.assertNotIn("hw_grant", text)
        self.assertIn("etag", fields)

    def test_ffmpeg_plays_hls_through_an_edge_with_credentials(self):
        out = os.path.join(self.cluster.folder, "hls.md5")
        url = f"http://%s:%d/sg/a.m3u8?{credentials.sign('sg/a')}" % self.edge.http
        player = media.play_md5(url, out, self.cluster.folder, "hls", seconds=3)
        try:
            harness.wait_until(lambda: not player.is_alive(), 40, "the player ends")
        finally:
            player.kill()
        with open(out) as file:
            self.assertGreater(sum(line[0] != "#" for line in file), 50)

    # --- on the way, at the end ---

    def test_the_entry_point_sends_credentials_along(self):
        for form in ("flv", "m3u8"):
            status, fields = status_of(self.cluster.scheduler.http, f"/sg/a.{form}?{credentials.sign('sg/a')}")
            self.assertEqual(status, 302)
            url = urllib.parse.urlsplit(fields["location"])
            self.assertEqual(status_of((url.hostname, url.port), f"{url.path}?{url.query}")[0], 200)
            self.assertEqual(status_of((url.hostname, url.port), url.path)[0], 401)

    def test_clients_that_leave_while_they_are_checked_are_forgotten(self):
        def ask(i):
            sock = socket.create_connection(self.origin.http, 20)
            token = credentials.jwt("jw/a", for_s=1000 + i)
            sock.sendall(f"GET /jw/a.{'m3u8' if i % 2 else 'flv'}?token={token} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            return sock
        for i in range(40):
            ask(i).close()
        with swarm.Swarm() as flock:
            clip = swarm.Clip(media.clip("small"))
            clients = [make(self.origin.rtmp, f"jw/c?token={credentials.jwt('jw/b', for_s=2000 + i)}", *more)
                       for i in range(10) for make, more in ((flock.publish, (clip,)), (flock.play_rtmp, ()))]
            flock.until(lambda: any(c.session.state == "command" for c in clients), 10)
        harness.wait_until(lambda: not [s for s in self.origin.sessions() if s["stream"] == "jw/c"], 10)
        self.assert_status(200, f"/jw/a.flv?token={credentials.jwt('jw/a')}", node=self.origin)

    def test_a_node_ends_well_while_it_checks(self):
        node = self.cluster.make_node("edge", 7, drain_timeout_s="0").learn()
        socks = []
        for i in range(8):
            socks.append(socket.create_connection(node.http, 20))
            fields = credentials.basic(password=f"guess{i}")["Authorization"]
            socks[-1].sendall(f"GET /us/a.flv HTTP/1.1\r\nHost: x\r\nAuthorization: {fields}\r\n\r\n".encode())
        self.assertEqual(node.problems(node.stop()), [])
        node.expect_death = True
        for sock in socks:
            sock.close()

    # --- change, secrets ---

    def test_keys_are_read_again_when_their_file_changes(self):
        path = os.path.join(self.files, "sign")
        with open(path) as file:
            before = file.read()
        query = credentials.sign("sg/a", key="2026c", secret="third-secret-of-signed-urls")
        self.assert_status(403, f"/sg/a.flv?{query}", node=self.origin)
        with open(path + ".new", "w") as file:
            file.write(before + "2026c third-secret-of-signed-urls\n")
        os.rename(path + ".new", path)
        harness.wait_until(lambda: status_of(self.origin.http, f"/sg/a.flv?{query}")[0] == 200, 15, "the new key")
        size = self.origin.log_size()
        with open(path + ".new", "w") as file:
            file.write("broken\n")
        os.rename(path + ".new", path)
        self.origin.signal(harness.signal.SIGHUP)
        self.origin.wait_log("rules and keys stay as they were", 10, size)
        self.assert_status(200, f"/sg/a.flv?{query}", node=self.origin)
        with open(path, "w") as file:
            file.write(before)

    def test_files_are_read_again_while_everybody_asks(self):
        """Nobody is refused meanwhile, and nothing is used that is gone."""
        ends = time.monotonic() + 4

        def ask(i):
            answers, n = set(), 0
            while time.monotonic() < ends:
                n += 1
                ways = [("/sg/a.flv?" + credentials.sign("sg/a"), None), ("/us/a.ts", credentials.basic()),
                        (f"/jw/a.mp4?token={credentials.jwt('jw/a', for_s=3000 + 100 * i + n)}", None),
                        ("/sg/a.m3u8?" + credentials.sign("sg/a"), None), ("/ky/a.flv?key=none", None)]
                path, headers = ways[(i + n) % len(ways)]
                answers.add((path.partition("?")[0], status_of(self.origin.http, path, headers)[0]))
            return answers
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            asking = [pool.submit(ask, i) for i in range(6)]
            while time.monotonic() < ends:
                size = self.origin.log_size()
                self.origin.signal(harness.signal.SIGHUP)
                self.origin.wait_log("configuration reloaded", 20, size)
                made = self.api("POST", "/api/v1/stream-keys", {"id": "storm", "stream": "ky/a"})[1]
                self.secrets.append(made["key"])
            answers = set().union(*(future.result() for future in asking))
        self.assertEqual(self.api("DELETE", "/api/v1/stream-keys/storm")[0], 204)
        self.assertEqual(answers, {("/sg/a.flv", 200), ("/us/a.ts", 200), ("/jw/a.mp4", 200), ("/sg/a.m3u8", 200),
                                   ("/ky/a.flv", 403)})

    def test_rtmp_names_and_queries_are_the_same_however_they_are_split(self):
        good = credentials.sign("sg/a")
        for app, name, lets_in in (("sg", "a", False), ("sg/", "a", False), ("sg", f"a?{good}", True), ("sg/", f"a?{good}", True),
                                   (f"sg?{good}", "a", True), (f"sg/?{good}", "a", True), ("sg", f"a?x=1&{good}", True),
                                   ("sg?hw_sign=0", "a", False), ("la/../sg", "a", False), ("", "sg/a", False),
                                   ("la", "../sg/a", False), ("sg", f"a?{credentials.sign('la/a')}", False),
                                   ("live", "a/../../sg/a", False), ("sg", f"b?{good}", False)):
            with self.subTest(app=app, name=name), swarm.Swarm() as flock:
                player = flock.play_rtmp(self.origin.rtmp, "sg/a")
                player.session.app, player.session.name = app, name
                player.session.tc_url = f"rtmp://x/{app}"
                flock.until(lambda: player.session.statuses or player.closed, 10, "it is answered")
                self.assertEqual(player.is_running, lets_in, player.session.statuses)

    def test_zz_no_secret_is_in_a_log_or_in_the_api(self):
        token = credentials.jwt("jw/a")
        query = credentials.sign("sg/a")
        with swarm.Swarm() as flock:
            players = [flock.play_flv(self.edge.http, "jw/a", [f"Authorization: Bearer {token}"]),
                       flock.play_rtmp(self.edge.rtmp, f"sg/a?{query}")]
            flock.until(lambda: all(p.log.n_video for p in players), 15)
            told = "".join(json.dumps(node.sessions()) + json.dumps(node.streams()) +
                           json.dumps(harness.get_json(node.admin, "/api/v1/config")) for node in self.cluster.nodes)
        with open(os.path.join(self.files, "access.log"), encoding="utf-8", errors="replace") as file:
            told += file.read()
        logs = told + "".join(process.log() for process in self.cluster.processes)
        self.assertIn("debug", logs)
        for secret in (*self.secrets, harness.TOKEN.strip(), token, query.rpartition("=")[2], credentials.lal("a").partition("=")[2],
                       "hw_grant=", "hw_sign=", "token=e"):
            self.assertNotIn(secret, logs)


class FloodTest(unittest.TestCase):
    """One node behind a proxy; whoever guesses comes from many addresses."""

    def test_guessed_passwords_hold_up_no_token(self):
        files = tempfile.mkdtemp(prefix="headwater-flood-")
        self.addCleanup(shutil.rmtree, files)
        sets = {**credentials.write_files(files), "trusted_proxies": balancer.TRUSTED,
                "access.rules": ["us play=user", "jw play=jwt"]}
        with harness.Cluster(origins=1, edges=0, schedulers=0, node_set=sets) as cluster:
            node, guesses = cluster.origins[0], []
            self.addCleanup(lambda: [sock.close() for sock in guesses])
            for i in range(200):  # 64 wait at most, each for a while; all of them come at once
                guesses.append(balancer.connect(node.http))
            for i, sock in enumerate(guesses):
                fields = {"X-Forwarded-For": f"198.51.100.{i}", **credentials.basic(password=f"wrong{i}")}
                lines = ["HEAD /us/a.flv HTTP/1.1", "Host: x", *(f"{k}: {v}" for k, v in fields.items())]
                sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            self.assertIn(b" 503 ", guesses[-1].recv(100), "no more passwords can wait")
            token = credentials.jwt("jw/a")
            status = harness.http_request(node.http, f"/jw/a.flv?token={token}", method="HEAD")[0]
            self.assertEqual(status, 404, "let in, though the stream is not there")


if __name__ == "__main__":
    harness.main()
