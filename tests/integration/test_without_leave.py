"""Who may not play gets no media, whatever is asked for: streams that are closed, sessions that are made up or of
another stream, grants that are over, renditions of other apps, viewers that were kicked or banned."""

import base64
import glob
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import tempfile
import time
import urllib.parse

import balancer
import credentials
import harness
import hls
import media

RULES = ["shut publish=open play=closed", "sg publish=open play=sign", "far publish=open play=sign"]
STREAMS = ("shut/a", "sg/a", "sg/b", "far/a", "live/a")
CLIENT, OTHER = "203.0.113.9", "203.0.113.10"
SESSION = "h-00000000abcd"


def grant(stream, session, expires_s):
    """One for playlists, as a node makes it."""
    key = hmac.new(harness.TOKEN.strip().encode(), b"headwater-hls-grant-v1", hashlib.sha256).digest()
    mac = hmac.new(key, f"0\n{stream}\n{session}\n{expires_s}\n".encode(), hashlib.sha256).digest()[:16]
    return f"session={session}&hw_grant={expires_s:x}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def uris(text):
    return re.findall(r'URI="([^"]+)"', text) + [line for line in text.split("\n") if line and line[0] != "#"]


class WithoutLeaveTest(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        cls.files = tempfile.mkdtemp(prefix="headwater-leave-")
        cls.addClassCleanup(shutil.rmtree, cls.files, ignore_errors=True)
        cls.disk = os.path.join(cls.files, "hls")
        os.mkdir(cls.disk)
        sets = {**credentials.write_files(cls.files), "access.rules": RULES, "play_wait_ms": "2000", "hls.mode": "always",
                "hls.segment_ms": "1000", "hls.disk.dir": cls.disk, "hls.disk.cleanup": "keep",
                "trusted_proxies": balancer.TRUSTED}
        cls.cluster_args = {"origins": 1, "edges": 0, "node_set": sets}
        super().setUpClass()
        cls.node = cls.cluster.origins[0]
        for stream in STREAMS:
            encoder = media.publish(media.clip("small"), cls.node.url(stream), cls.cluster.folder,
                                    f"enc-{stream.replace('/', '-')}", loop=True)
            cls.addClassCleanup(encoder.kill)
        harness.wait_until(lambda: len([s for s in cls.node.streams() if s["live"]]) == len(STREAMS), 20)

    def get(self, path, method="GET", headers=None):
        status, fields, body = harness.http_request(self.node.http, path, method, headers, timeout_s=20)
        return status, fields, body.decode("latin-1")

    def admin(self, method, path, body=None):
        status, _, answer = harness.http_request(self.node.admin, path, method, {"Content-Type": "application/json"}, body)
        self.assertLess(status, 300, answer)

    def files_of(self, stream):
        """Names of pieces, however a client may have learnt them."""
        pattern = os.path.join(self.disk, stream, "*")
        harness.wait_until(lambda: len(glob.glob(pattern)) > 3, 20, f"segments of {stream}")
        return [name for name in sorted(map(os.path.basename, glob.glob(pattern))) if not name.endswith(".m3u8")]

    def playlist(self, stream, query, headers=None):
        """(path, text) of the media playlist that a viewer is led to."""
        status, _, text = self.get(f"/{stream}.m3u8?{query}", headers=headers)
        self.assertEqual(status, 200, text)
        path = urllib.parse.urljoin(f"/{stream}.m3u8", hls.variants(text)[0][1])
        status, _, text = self.get(path, headers=headers)
        self.assertEqual(status, 200, text)
        return path, text

    def test_nothing_of_a_closed_app_is_given_to_anybody(self):
        self.get(f"/live/a.m3u8?session={SESSION}")  # a session, of an open stream
        files = self.files_of("shut/a")
        lists = ["/shut/a.m3u8", "/shut/a/index.m3u8", "/shut/a/ts.m3u8", "/shut/a/fmp4.m3u8", "/shut/a/record.m3u8",
                 "/shut/a/fmp4.m3u8?_HLS_msn=1", "/shut/a.m3u8?container=ts", "/shut/a.m3u8?only=audio"]
        live = [f"/shut/a.{form}" for form in ("flv", "ts", "mp4")]
        for path in (*lists, *live, *(f"/shut/a/{name}" for name in files)):
            for query in ("", f"session={SESSION}", grant("live/a", SESSION, int(time.time()) + 60)):
                for method in ("GET", "HEAD"):
                    with self.subTest(path=path, query=query, method=method):
                        status, _, body = self.get(f"{path}{'&' if '?' in path else '?'}{query}", method)
                        self.assertEqual(status, 403, body[:80])

    def test_sessions_that_are_made_up_bring_no_grant_back(self):
        over = int(time.time()) - 1
        self.assertEqual(self.get(f"/live/a.m3u8?session={SESSION}")[0], 200)  # begins it
        self.assertEqual(self.get(f"/sg/a/fmp4.m3u8?{grant('sg/a', SESSION, over)}")[0], 401)
        self.assertEqual(self.get(f"/sg/a/fmp4.m3u8?{grant('sg/a', SESSION, over + 60)}")[0], 200)  # it was a right one

    def test_who_goes_on_with_its_own_session_does(self):
        session = "h-00000000beef"
        self.assertEqual(self.get(f"/sg/a.m3u8?session={session}&{credentials.sign('sg/a')}")[0], 200)
        over = int(time.time()) - 1
        self.assertEqual(self.get(f"/sg/a/fmp4.m3u8?{grant('sg/a', session, over)}")[0], 200)
        self.assertEqual(self.get(f"/sg/b/fmp4.m3u8?{grant('sg/b', session, over)}")[0], 401)

    def test_renditions_are_of_one_app(self):
        """Who may play a stream gets a grant for each of its renditions."""
        for renditions in (["shut/a"], ["far/b", "live/b"], ["live/x/b"]):
            status, _, answer = harness.http_request(
                self.node.admin, "/api/v1/hls/groups", "POST", {"Content-Type": "application/json"},
                json.dumps({"name": "live/a", "renditions": renditions}))
            self.assertEqual(status, 400, renditions)
            self.assertIn(b"of another app", answer)

    def test_a_kicked_viewer_loses_its_pieces_at_once(self):
        for stream, query in (("sg/a", credentials.sign("sg/a")), ("live/a", "")):
            with self.subTest(stream=stream):
                headers = {"User-Agent": f"kicked-{stream}"}
                path, text = self.playlist(stream, query, headers)
                pieces = [urllib.parse.urljoin(path, uri) for uri in uris(text)]
                statuses = {self.get(piece, headers=headers)[0] for piece in pieces}
                self.assertIn(200, statuses)
                session = re.search(r"session=([^&]+)", path)[1]
                self.admin("DELETE", f"/api/v1/sessions/{session}")
                self.assertEqual(self.get(path, headers=headers)[0], 403)
                for piece in pieces:
                    self.assertIn(self.get(piece, headers=headers)[0], (403, 404), piece)
                self.assertEqual(self.get(pieces[-1], headers=headers)[0], 403)
        self.playlist("live/a", "", {"User-Agent": "another"})

    def test_a_ban_meets_clients_behind_a_proxy_at_their_next_request(self):
        conn = http.client.HTTPConnection(*self.node.http, timeout=20, source_address=(balancer.TRUSTED, 0))
        self.addCleanup(conn.close)

        def status(path, client):
            conn.request("GET", path, headers={"X-Forwarded-For": client})
            answer = conn.getresponse()
            answer.read()
            return answer.status
        paths = ["/healthz", "/live/a.m3u8", "/live/a/" + self.files_of("live/a")[-1]]
        self.assertEqual([status(path, CLIENT) for path in paths], [200] * 3)
        self.admin("POST", "/api/v1/bans", '{"id": "one", "net": "%s"}' % CLIENT)
        try:
            harness.wait_until(lambda: status("/healthz", CLIENT) == 403, 5, "the ban holds")
            self.assertEqual([status(path, CLIENT) for path in paths], [403] * 3)
            self.assertEqual([status(path, OTHER) for path in paths], [200] * 3)
            sock = balancer.connect(self.node.http, data=balancer.v1(CLIENT) + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            self.addCleanup(sock.close)
            try:
                self.assertEqual(sock.recv(100), b"")
            except ConnectionResetError:
                pass
        finally:
            self.admin("DELETE", "/api/v1/bans/one")
        harness.wait_until(lambda: status("/healthz", CLIENT) == 200, 5, "the ban is over")

    def test_relay_headers_are_no_leave(self):
        """Other nodes are not asked about, so nobody else may pass for one."""
        for token in ("", "x", harness.TOKEN.strip() + "x", harness.TOKEN.strip()[:-1]):
            headers = {"X-Headwater-Hops": "edge-9", "Authorization": f"Bearer {token}"}
            for path in ("/sg/a.flv", "/shut/a.flv", "/sg/a.ts"):
                self.assertEqual(self.get(path, headers=headers)[0], 401, (path, token))
            self.assertIn(self.get("/sg/a.m3u8", headers=headers)[0], (401, 403))
        headers = {"X-Headwater-Hops": "edge-9", "Authorization": f"Bearer {harness.TOKEN.strip()}"}
        self.assertEqual(self.get("/sg/a.ts", headers=headers)[0], 404)
        self.assertEqual(self.get("/shut/a.m3u8", headers=headers)[0], 403)
        status, _, _ = self.get("/shut/up.flv", "POST", {"X-Headwater-Forward": "edge-9,203.0.113.9:1"})
        self.assertEqual(status, 401)

    def test_without_a_token_who_is_on_this_machine_is_no_node(self):
        """A proxy on this machine that nobody told the node of passes everybody's headers on."""
        node = harness.Node("alone", {"rtmp.listen": "127.0.0.1:0", "http.listen": "127.0.0.1:0", "admin.listen": "127.0.0.1:0",
                                      "access.rules": ["shut publish=closed play=closed"], "play_wait_ms": "300"}, self.files)
        self.addCleanup(node.kill)
        node.learn()
        for method, headers in (("GET", {"X-Headwater-Hops": "edge-9"}), ("POST", {"X-Headwater-Forward": "edge-9,203.0.113.9:1"})):
            for app, wanted in (("shut", {401}), ("open", {200, 404})):
                status, _, body = harness.http_request(node.http, f"/{app}/a.flv", method, headers)
                self.assertIn(status, wanted, (app, method, body))
        self.assertEqual(node.problems(node.stop()), [])


if __name__ == "__main__":
    harness.main()
