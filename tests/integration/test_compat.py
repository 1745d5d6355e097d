"""Compatibility routes: lal's and livego's APIs and lal's notifications, compared field by field with what their
servers say (compat_sheets.py), over real publishers, players, pulls and pushes."""

import json
import socket
import struct
import unittest
import urllib.parse

import compat_sheets as sheets
import harness
import hls
import media
import outputs
import swarm
from receiver import Receiver
from test_api import TokensTest, bearer

JSON = {"Content-Type": "application/json"}
FORMS = ("flv", "ts")


def call(node, path, body=None, headers=None):
    """(status, answer) of a GET, or of a POST with this body."""
    status, _, text = harness.http_request(node.admin, path, "GET" if body is None else "POST",
                                           {**(JSON if body is not None else {}), **(headers or {})},
                                           None if body is None else json.dumps(body))
    return status, json.loads(text)


class CompatTest(harness.ClusterTest):
    """node speaks both; peer is a server that it pulls from and pushes to."""

    @classmethod
    def setUpClass(cls):
        cls.told = Receiver()
        target = f"{cls.told.url('/lal/{event}')} format=lal"
        cls.cluster_args = {
            "origins": 0, "edges": 0, "schedulers": 0,
            "node_set": {"relay.allowed_networks": "127.0.0.0/8", "publisher_grace_ms": "500", "hls.mode": "on_demand"}}
        super().setUpClass()
        cls.peer = cls.cluster.make_node("origin", 1).learn()
        cls.node = cls.cluster.make_node(
            "origin", 0, compat=["lal", "livego"], hooks__targets=[target], hooks__update_s="1",
            hls__container="ts", hls__segment_ms="1000").learn()
        cls.cluster.origins += [cls.node, cls.peer]

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.told.close()

    def lal(self, path, body=None, sheet="error"):
        """data of a call that goes well."""
        status, answer = call(self.node, f"/api/{path}", body)
        self.assertEqual((status, answer["error_code"], answer["desp"]), (200, 0, "succ"))
        self.assert_is(sheets.LAL[sheet], answer)
        return answer["data"]

    def refused(self, path, code, body=None, status=200):
        found, answer = call(self.node, f"/api/{path}", body)
        self.assertEqual((found, answer["error_code"]), (status, code), answer)
        self.assert_is(sheets.LAL["error"], answer)
        return answer["desp"]

    def group(self, name):
        return self.lal(f"stat/group?stream_name={name}", sheet="group")

    def livego(self, path, status=200, sheet="text"):
        found, answer = call(self.node, path)
        self.assertEqual(found, status, answer)
        self.assert_is(sheets.LIVEGO[sheet], answer)
        if sheet != "streams":
            self.assertEqual(answer["status"], status)
        return answer if sheet == "streams" else answer["data"]

    def assert_is(self, sheet, found):
        self.assertEqual(sheets.differences(sheet, found), [])

    def publish(self, stream, clip="h264_aac", node=None):
        node = node or self.node
        publisher = media.publish(media.clip(clip), node.url(stream), self.cluster.folder, loop=True)
        self.addCleanup(publisher.kill)
        harness.wait_until(lambda: [s for s in node.streams() if s["name"] == stream and s["live"]], 15, stream)
        return publisher

    def play(self, stream):
        players = [outputs.Player(self.node.http, stream, form) for form in FORMS]
        for player in players:
            self.addCleanup(player.stop)
            harness.wait_until(lambda: player.has(20000), 15, player.name)
        rtmp = media.play_md5(self.node.url(stream), "/dev/null", self.cluster.folder)
        self.addCleanup(rtmp.kill)
        return players, rtmp

    def play_hls(self, stream):
        viewer = hls.Client(self.node.http, stream, "ts")
        uri = [line for line in viewer.multivariant().splitlines() if line and not line.startswith("#")][0]
        path = urllib.parse.urljoin(f"/{stream}.m3u8", uri)
        answer = harness.wait_until(lambda: (got := viewer.get(path, timeout_s=20))[0] == 200 and got, 20, "a playlist")
        playlist = hls.Playlist(answer[2].decode())
        self.assertEqual(viewer.get(urllib.parse.urljoin(path, playlist.segments[0]["uri"]))[0], 200)

    # --- lal ---

    def test_lal_info_and_calls_that_are_wrong(self):
        info = self.lal("stat/lal_info", sheet="lal_info")
        self.assertEqual((info["server_id"], info["api_version"]), (self.node.id, "v0.4.9"))
        self.assertEqual(self.refused("stat/group?stream_name=none", 1001), "group not found")
        self.assertEqual(self.refused("stat/group", 1002), "param missing")
        self.refused("ctrl/kick_session", 1002, {"stream_name": "x"})
        self.refused("ctrl/start_relay_pull", 1002, {"url": 7})
        self.refused("ctrl/start_relay_pull", 1002, {"url": "rtmp://x/y/z", "pull_retry_num": "many"})
        for path, body in (("stat/none", None), ("ctrl/none", {}), ("ctrl/group/x", None)):
            self.assertIn("page not found", self.refused(path, 404, body, 404))  # theirs: with status 200
        for path, body, allow in (("ctrl/kick_session", None, "POST"), ("stat/all_group", {}, "GET")):
            status, headers, _ = harness.http_request(self.node.admin, f"/api/{path}", "GET" if body is None else "POST",
                                                      JSON, None if body is None else "{}")
            self.assertEqual((status, headers["allow"]), (405, allow), path)

    def test_bad_bodies_and_arguments_are_refused(self):
        deep = '{"stream_name": ' + "[" * 3000 + "]" * 3000 + "}"
        for body in ("", "{", "[]", "7", '"x"', "null", deep, b'{"stream_name": "\xff"}', '{"stream_name": "a\\u0000b"}',
                     '{"stream_name": 7, "session_id": "x"}', '{"stream_name": "x", "session_id": ["x"]}',
                     '{"stream_name": "", "session_id": "x"}', '{"stream_name": "x", "session_id": ""}',
                     json.dumps({"stream_name": "x" * 5000, "session_id": "x"})):
            status, _, text = harness.http_request(self.node.admin, "/api/ctrl/kick_session", "POST", JSON, body)
            self.assertEqual((status, json.loads(text)["error_code"]), (200, 1002), body[:60])
        status = harness.http_request(self.node.admin, "/api/ctrl/kick_session", "POST", JSON, "x" * (4 << 20))[0]
        self.assertEqual(status, 413)
        for more in ({"stream_name": "../x"}, {"stream_name": "a/../x"}, {"url": "rtmp://x"}, {"url": "file:///etc/x"},
                     {"url": "rtmp://127.0.0.1/live/.."}, {"url": ""}):
            self.refused("ctrl/start_relay_pull", 2001, {"url": self.peer.url("far/x"), **more})
        for more in ({"pull_retry_num": -2}, {"pull_retry_num": 1.5}, {"auto_stop_pull_after_no_out_ms": True},
                     {"rtsp_mode": -1}, {"pull_timeout_ms": "10000"}):
            self.refused("ctrl/start_relay_pull", 1002, {"url": self.peer.url("far/x"), **more})
        for body in ({"ip": "192.0.2.7", "duration_sec": -1}, {"ip": "192.0.2.7", "duration_sec": 0},
                     {"ip": "192.0.2.7/33", "duration_sec": 9}, {"ip": "../x", "duration_sec": 9}):
            self.refused("ctrl/add_ip_blacklist", 1002, body)
        for query in ("room=..", "room=a/../b", "room=%ff", "room=%00", "room=" + "x" * 300, ""):
            self.livego(f"/control/get?{query}", 400)
        self.assertEqual(harness.items(self.node.admin, "/api/v1/relays"), [])
        self.assertEqual(harness.items(self.node.admin, "/api/v1/stream-keys"), [])

    def test_group_of_every_protocol_is_lals_field_by_field(self):
        self.publish("live/a")
        self.play("live/a")
        self.play_hls("live/a")

        def look():
            group = self.group("a")
            rates = [group["pub"]["read_bitrate_kbits"]]
            return group if len(group["subs"] or ()) == 4 and all(rates) and len(group["in_frame_per_sec"]) > 2 else None
        group = harness.wait_until(look, 20, lambda: self.group("a"))
        self.assertEqual([group[key] for key in ("stream_name", "app_name", "audio_codec", "video_codec",
                                                 "video_width", "video_height")],
                         ["a", "live", "AAC", "H264", 320, 240])
        self.assertEqual({sub["protocol"] for sub in group["subs"]}, {"RTMP", "FLV", "TS", "HLS"})
        self.assertEqual({sub["base_type"] for sub in group["subs"]}, {"SUB"})
        self.assertEqual((group["pub"]["protocol"], group["pub"]["base_type"]), ("RTMP", "PUB"))
        self.assertGreater(group["pub"]["read_bytes_sum"], 20000)
        for sub in group["subs"]:
            self.assertGreater(sub["wrote_bytes_sum"], 0, sub)  # theirs: 0 for FLV and TS
            self.assertRegex(sub["start_time"], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \+0000 UTC$")
        seconds = group["in_frame_per_sec"]
        self.assertEqual(seconds, sorted(seconds, key=lambda second: -second["unix_sec"]))
        self.assertTrue(all(10 <= second["v"] <= 60 for second in seconds[:-1]), seconds)
        self.assertEqual(group["pull"]["session_id"], "")
        self.assertEqual(self.group("live/a")["stream_name"], "a")
        whole = self.lal("stat/all_group", sheet="all_group")["groups"]
        self.assertIn("a", [group["stream_name"] for group in whole])

    def test_kick_ends_that_session_alone(self):
        self.publish("live/kick", "small")
        players, _ = self.play("live/kick")
        group = harness.wait_until(
            lambda: self.group("kick") if len(self.group("kick")["subs"] or ()) == 3 else None, 15, "three viewers")
        sub = next(sub for sub in group["subs"] if sub["protocol"] == "TS")
        self.refused("ctrl/kick_session", 1003, {"stream_name": "kick", "session_id": "none"})
        self.refused("ctrl/kick_session", 1001, {"stream_name": "none", "session_id": sub["session_id"]})
        self.lal("ctrl/start_relay_pull", {"url": self.peer.url("far/none"), "stream_name": "other"}, "start_relay_pull")
        self.refused("ctrl/kick_session", 1003, {"stream_name": "kick", "session_id": "pull/live/other"})
        self.assertEqual(len(harness.items(self.node.admin, "/api/v1/relays")), 1)
        self.lal("ctrl/kick_session", {"stream_name": "other", "session_id": "pull/live/other"})
        self.lal("ctrl/kick_session", {"stream_name": "kick", "session_id": sub["session_id"]})
        harness.wait_until(lambda: not players[1].is_alive(), 10, "the TS player ends")
        self.assertTrue(players[0].is_alive())
        self.assertEqual({sub["protocol"] for sub in self.group("kick")["subs"]}, {"RTMP", "FLV"})

    def test_relay_pull_starts_is_shown_and_stops(self):
        self.publish("far/p", "small", self.peer)
        body = {"url": self.peer.url("far/p"), "pull_retry_num": -1, "their_own": 1}
        began = self.lal("ctrl/start_relay_pull", body, "start_relay_pull")
        self.assertEqual(began["stream_name"], "p")
        pull = harness.wait_until(
            lambda: call(self.node, "/api/stat/group?stream_name=p")[1].get("data") and
            self.group("p")["pull"]["session_id"] and self.group("p"), 15, "it is pulled")
        self.assertEqual(pull["pull"]["session_id"], began["session_id"])
        self.assertEqual((pull["pull"]["protocol"], pull["pull"]["base_type"]), ("RTMP", "PULL"))
        self.assertEqual(pull["pub"]["session_id"], "")
        self.assertIn("has an input", self.refused("ctrl/start_relay_pull", 2001, body))
        self.assertEqual(self.lal("ctrl/stop_relay_pull?stream_name=p", sheet="stop_relay_pull"),
                         {"session_id": began["session_id"]})
        self.assertIn(call(self.node, "/api/ctrl/stop_relay_pull?stream_name=p")[1]["error_code"], (1001, 1003))
        harness.wait_until(lambda: not [s for s in self.node.sessions() if s["kind"] == "pull"], 10, "it has ended")
        self.lal("ctrl/start_relay_pull", {**body, "stream_name": "q"}, "start_relay_pull")
        harness.wait_until(lambda: [s for s in self.node.sessions() if s["kind"] == "pull"], 15, "again")
        self.lal("ctrl/kick_session", {"stream_name": "q", "session_id": "pull/live/q"})
        harness.wait_until(lambda: not [s for s in self.node.sessions() if s["kind"] == "pull"], 10, "kicked")
        self.assertEqual(harness.items(self.node.admin, "/api/v1/relays"), [])

    def test_relay_pull_on_demand_waits_for_a_player(self):
        self.publish("far/d", "small", self.peer)
        self.lal("ctrl/start_relay_pull", {"url": self.peer.url("far/d"), "auto_stop_pull_after_no_out_ms": 0},
                 "start_relay_pull")
        relay, = harness.items(self.node.admin, "/api/v1/relays")
        self.assertEqual((relay["mode"], relay["idle_ms"], relay["retry"]), ("on_demand", 1, 1))
        self.lal("ctrl/start_relay_pull", {"url": self.peer.url("far/d"), "auto_stop_pull_after_no_out_ms": 3600000,
                                           "pull_retry_num": 1 << 40}, "start_relay_pull")
        relay, = harness.items(self.node.admin, "/api/v1/relays")
        self.assertEqual((relay["idle_ms"], relay["retry"]), (3600000, 1000000))
        self.play("live/d")
        self.assertEqual(self.group("d")["pull"]["base_type"], "PULL")
        self.lal("ctrl/stop_relay_pull?stream_name=d", {}, "stop_relay_pull")  # by POST, as some clients do

    def test_a_live_stream_is_not_pulled_over(self):
        self.publish("live/busy", "small")
        self.refused("ctrl/start_relay_pull", 2001, {"url": self.peer.url("far/x"), "stream_name": "busy"})
        self.assertEqual(harness.items(self.node.admin, "/api/v1/relays"), [])  # nothing is put by for later
        self.refused("ctrl/start_relay_pull", 2001, {"url": "rtmp://10.1.2.3/far/x", "stream_name": "private"})

    def test_rtp_and_rtsp_say_501_and_why(self):
        self.assertIn("RTP", self.refused("ctrl/start_rtp_pub", 2002, {"stream_name": "cam"}, 501))
        self.assertIn("RTP", self.refused("ctrl/stop_rtp_pub?stream_name=cam", 1003, None, 501))
        self.assertIn("RTSP", self.refused("ctrl/start_relay_pull", 2001, {"url": "rtsp://10.0.0.9/cam"}, 501))

    def test_blacklist_is_a_ban_that_ends(self):
        self.lal("ctrl/add_ip_blacklist", {"ip": "192.0.2.7", "duration_sec": 600})
        self.lal("ctrl/add_ip_blacklist", {"ip": "2001:db8::7", "duration_sec": 1})
        self.refused("ctrl/add_ip_blacklist", 1002, {"ip": "nobody", "duration_sec": 600})
        self.refused("ctrl/add_ip_blacklist", 1002, {"ip": "192.0.2.7"})

        def nets():
            return {ban["net"] for ban in harness.items(self.node.admin, "/api/v1/bans")}
        self.assertTrue({"192.0.2.7"} <= nets())
        harness.wait_until(lambda: nets() == {"192.0.2.7"}, 10, nets)

    def test_clients_that_leave_before_the_answer_hurt_nobody(self):
        pull = json.dumps({"url": self.peer.url("far/left"), "stream_name": "left"})
        requests = [("GET", "/api/stat/all_group", ""), ("GET", "/stat/livestat", ""), ("GET", "/streams", ""),
                    ("POST", "/api/ctrl/start_relay_pull", pull), ("GET", "/api/ctrl/stop_relay_pull?stream_name=left", ""),
                    ("POST", "/api/ctrl/kick_session", '{"stream_name": "left", "session_id": "pull/live/left"}'),
                    ("POST", "/api/ctrl/add_ip_blacklist", '{"ip": "192.0.2.9", "duration_sec": 1}'),
                    ("GET", "/control/get?room=left", ""), ("GET", "/control/reset?room=left", ""),
                    ("GET", "/control/delete?room=left", ""),
                    ("GET", "/control/push?" + self.relay_query("start", "left", self.peer.url("copy/left")), ""),
                    ("GET", "/control/push?" + self.relay_query("stop", "left", "x"), "")]
        for method, path, body in requests * 8:
            with socket.create_connection(self.node.admin) as peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # with a reset
                peer.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                             f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        self.lal("ctrl/start_relay_pull", json.loads(pull), "start_relay_pull")
        self.lal("ctrl/stop_relay_pull?stream_name=left", sheet="stop_relay_pull")
        self.livego("/control/get?room=left")
        self.livego("/control/delete?room=left")
        if harness.items(self.node.admin, "/api/v1/relays"):
            self.livego("/control/push?" + self.relay_query("stop", "left", "x"))
        self.assertEqual(harness.items(self.node.admin, "/api/v1/stream-keys"), [])

    # --- lal's notifications ---

    def wait_told(self, name, timeout_s=20, **fields):
        def look():
            with self.told.lock:
                bodies = [body for path, body, _ in self.told.requests if path == f"/lal/{name}"]
            return next((body for body in bodies if fields.items() <= body.items()), None)
        body = harness.wait_until(look, timeout_s, lambda: f"{name} {fields}; {self.told.requests[-5:]}")
        self.assert_is(sheets.LAL_NOTIFY[name], body)
        return body

    def test_every_notification_is_lals_field_by_field(self):
        self.wait_told("on_server_start", server_id=self.node.id)
        publisher = self.publish("live/n")
        self.wait_told("on_rtmp_connect", app="live")
        began = self.wait_told("on_pub_start", stream_name="n", app_name="live", protocol="RTMP", has_in_session=True,
                               has_out_session=False, url_param="")
        self.assertEqual(began["url"], self.node.url("live/n"))
        players, _ = self.play("live/n")
        seen = self.wait_told("on_sub_start", stream_name="n", protocol="TS", has_in_session=True, has_out_session=True)
        self.play_hls("live/n")
        self.wait_told("on_sub_start", stream_name="n", protocol="HLS")
        segment = self.wait_told("on_hls_make_ts", stream_name="n", event="close")
        self.assertTrue(segment["ts_file"].endswith(".ts"), segment)
        self.assertTrue(0.5 < segment["duration"] < 5, segment)
        for player in players:
            player.stop()
        ended = self.wait_told("on_sub_stop", session_id=seen["session_id"])
        self.assertGreater(ended["wrote_bytes_sum"], 10000)  # theirs: always 0

        def updated():
            with self.told.lock:
                updates = [body for path, body, _ in self.told.requests if path == "/lal/on_update"]
            return next((u for u in updates for g in u["groups"] or () if g["stream_name"] == "n" and g["subs"]), None)
        self.assert_is(sheets.LAL_NOTIFY["on_update"], harness.wait_until(updated, 20, "an update with the viewer"))
        publisher.kill()
        over = self.wait_told("on_pub_stop", session_id=began["session_id"], has_in_session=False)
        self.assertGreater(over["read_bytes_sum"], 10000)
        self.publish("far/n", "small", self.peer)
        self.lal("ctrl/start_relay_pull", {"url": self.peer.url("far/n"), "stream_name": "pulled"}, "start_relay_pull")
        self.wait_told("on_relay_pull_start", stream_name="pulled", session_id="pull/live/pulled", has_in_session=True)
        self.lal("ctrl/stop_relay_pull?stream_name=pulled", sheet="stop_relay_pull")
        self.wait_told("on_relay_pull_stop", stream_name="pulled", has_in_session=False)
        self.assertEqual(self.told.problems, [])
        names = {path.rpartition("/")[2] for path, _, _ in self.told.requests}
        self.assertEqual(names, set(sheets.LAL_NOTIFY))

    # --- livego ---

    def test_livego_stat_and_streams_are_its_field_by_field(self):
        self.publish("live/l")
        self.play("live/l")

        def look():
            stat = self.livego("/stat/livestat?room=live/l", sheet="livestat")
            done = len(stat["players"]) == 3 and stat["publishers"] and stat["publishers"][0]["video_speed"]
            return stat if done else None
        stat = harness.wait_until(look, 20, lambda: self.livego("/stat/livestat", sheet="livestat"))
        publisher, = stat["publishers"]
        self.assertEqual((publisher["key"], publisher["url"]), ("live/l", self.node.url("live/l")))
        self.assertGreater(publisher["video_total_bytes"], publisher["audio_total_bytes"])
        self.assertGreater(publisher["audio_total_bytes"], 1000)
        self.livego("/stat/livestat?room=live/none", 404)
        streams = self.livego("/streams", sheet="streams")
        self.assertIn("live/l", [item["key"] for item in streams["publishers"]])
        self.assertEqual(len([item for item in streams["players"] if item["key"] == "live/l"]), 3)

    def relay_query(self, oper, name, url):
        return urllib.parse.urlencode({"oper": oper, "app": "live", "name": name, "url": url})

    def test_livego_pull_and_push_start_and_stop(self):
        self.publish("far/v", "small", self.peer)
        self.livego("/control/pull?" + self.relay_query("start", "v", self.peer.url("far/v")))
        harness.wait_until(lambda: [s for s in self.node.streams() if s["name"] == "live/v" and s["live"]], 15, "pulled")
        self.livego("/control/push?" + self.relay_query("start", "v", self.peer.url("copy/v")))
        harness.wait_until(lambda: [s for s in self.peer.streams() if s["name"] == "copy/v" and s["live"]], 15, "pushed")
        for kind in ("push", "pull"):  # is no start, and no stop either
            self.livego(f"/control/{kind}?oper=start&app=live&name=v&url=%ff", 400)
            self.livego(f"/control/{kind}?oper=start&app=live&name=v&url=rtmp://x/%ff", 400)
        self.assertEqual(len(harness.items(self.node.admin, "/api/v1/relays")), 2)
        self.livego("/control/push?" + self.relay_query("stop", "v", self.peer.url("copy/v")))
        self.livego("/control/pull?" + self.relay_query("stop", "v", self.peer.url("far/v")))
        harness.wait_until(lambda: not harness.items(self.node.admin, "/api/v1/relays"), 10, "both are gone")
        self.livego("/control/pull?" + self.relay_query("stop", "v", "x"), 404)  # theirs: 200, or 400 for success
        self.livego("/control/push?" + self.relay_query("start", "v", "not an url"), 400)
        self.livego("/control/push?oper=start&app=live", 400)


class RoomsTest(TokensTest):
    """Keys of rooms, and who may ask for what."""

    cluster_args = {**TokensTest.cluster_args,
                    "node_set": {"compat": ["lal", "livego"], "access.rules": ["live publish=key play=open"]}}

    def room(self, call_name, room, status=200):
        found, headers, answer = self.ask(f"/control/{call_name}?room={room}")
        self.assertEqual((found, answer["status"]), (status, status), answer)
        if call_name != "delete" and status == 200:
            self.assertEqual(headers["cache-control"], "no-store")
        return answer["data"]

    def codes(self, flock, name):
        """What a publisher hears."""
        publisher = flock.publish(self.node.rtmp, f"live/{name}", swarm.Clip(media.clip("small")))
        flock.until(lambda: [code for code in publisher.codes if "Publish" in code], 10, "an answer")
        return publisher.codes[-1]

    def test_key_of_a_room_publishes_the_room_until_it_is_reset(self):
        key = self.room("get", "movie")
        self.assertRegex(key, r"^[0-9a-zA-Z]{48}$")
        self.assertEqual(self.room("get", "movie"), key)
        self.assertNotEqual(self.room("get", "other"), key)
        with swarm.Swarm() as flock:
            self.assertEqual(self.codes(flock, key), "NetStream.Publish.Start")
            flock.until(lambda: [s for s in self.node.streams() if s["name"] == "live/movie"], 10, "the room is live")
            self.assertNotIn(key, str(self.node.streams()) + str(self.node.sessions()))
            self.assertEqual(self.codes(flock, "movie"), "NetStream.Publish.BadName")
            fresh = self.room("reset", "movie")
            self.assertNotEqual(fresh, key)
            self.assertEqual(self.room("get", "movie"), fresh)
        harness.wait_until(lambda: not self.node.sessions(), 10, "the publisher has left")
        with swarm.Swarm() as flock:
            self.assertEqual(self.codes(flock, key), "NetStream.Publish.BadName")  # theirs: stays good
            self.assertEqual(self.codes(flock, fresh), "NetStream.Publish.Start")
            self.assertEqual(self.room("delete", "movie"), "Ok")
            self.assertEqual(self.room("delete", "movie", 404), "room not found")
        harness.wait_until(lambda: not self.node.sessions(), 10, "the publisher has left")
        with swarm.Swarm() as flock:
            self.assertEqual(self.codes(flock, fresh), "NetStream.Publish.BadName")
        self.room("get", "", 400)
        self.room("get", "../x", 400)
        shown = json.dumps(self.ask("/api/v1/stream-keys")[2])
        self.assertNotIn(fresh, shown)
        self.assertNotIn(key, self.node.log())

    def test_scopes_are_those_of_the_api(self):
        """Each call with too little, and with enough: it comes to its handler, which need not like the arguments."""
        relay = "?oper=stop&app=live&name=x&url=x"
        calls = {"eye": ["/api/stat/lal_info", "/api/stat/group", "/api/stat/all_group", "/api/stat/none", "/api/ctrl/none",
                         "/stat/livestat", "/streams"],
                 "hand": ["/api/ctrl/stop_relay_pull", "/api/ctrl/stop_rtp_pub", "/control/push" + relay,
                          "/control/pull" + relay],
                 "boss": ["/control/get?room=x", "/control/reset?room=x", "/control/delete?room=x"]}
        posts = [f"/api/ctrl/{name}" for name in ("start_relay_pull", "stop_relay_pull", "kick_session", "start_rtp_pub",
                                                  "stop_rtp_pub", "add_ip_blacklist")]
        rows = [(who, "GET", path) for who, paths in calls.items() for path in paths]
        below = {"eye": {"Host": "node.example"}, "hand": bearer("eye"), "boss": bearer("hand")}
        for who, method, path in rows + [("hand", "POST", path) for path in posts]:
            refused = self.ask(path, method, below[who], "{}" if method == "POST" else None)[0]
            self.assertEqual(refused, 401 if who == "eye" else 403, f"{method} {path} with too little")
            found, _, answer = self.ask(path, method, bearer(who), "{}" if method == "POST" else None)
            self.assertIn(found, (200, 404, 501), f"{method} {path} as {who}: {answer}")
            self.assertTrue({"error_code", "status", "publishers"} & answer.keys(), answer)

    def test_a_change_by_get_is_audited_and_not_for_pages_of_other_sites(self):
        path = "/control/reset?room=audited"
        for site, status in (("cross-site", 403), ("same-site", 403), ("none", 200), ("same-origin", 200)):
            self.assertEqual(self.ask(path, headers={"Sec-Fetch-Site": site})[0], status, site)
        lines = [line for line in self.node.log_lines("audit") if "/control/reset" in line]
        self.assertEqual([line.rpartition("status=")[2] for line in lines], ["403", "403", "200", "200"])
        self.assertNotIn("room=", "".join(lines))

    def test_there_is_nothing_of_it_unless_it_is_wanted(self):
        plain = self.cluster.make_node("origin", 5, compat="").learn()
        self.cluster.origins.append(plain)
        for path in ("/api/stat/lal_info", "/control/get?room=x", "/streams"):
            self.assertEqual(harness.http_request(plain.admin, path)[0], 404, path)
        paths = harness.get_json(self.node.admin, "/api/v1/openapi.json")["paths"]
        self.assertFalse([path for path in paths if path.startswith(("/control", "/api/stat", "/api/ctrl"))])


class RoomsOfAClusterTest(unittest.TestCase):
    def test_every_node_tells_the_same_key_and_takes_it_also_after_a_restart(self):
        with harness.Cluster(origins=1, edges=1, node_set={
                "compat": "livego", "access.rules": ["live publish=key play=open"]}) as cluster:
            origin, edge = cluster.origins[0], cluster.edges[0]

            def key_at(node):
                return call(node, "/control/get?room=far")[1]["data"]
            cluster.wait_settled()
            key = key_at(origin)
            harness.wait_until(lambda: harness.items(edge.admin, "/api/v1/stream-keys"), 10, "the edge has heard of it")
            self.assertEqual(key_at(edge), key)
            with swarm.Swarm() as flock:
                flock.publish(edge.rtmp, f"live/{key}", swarm.Clip(media.clip("small")))
                for node in (edge, origin):
                    flock.until(lambda: [s for s in node.streams() if s["name"] == "live/far" and s["live"]], 15, node.id)
            origin.kill()
            origin = cluster.restart_node(origin)
            harness.wait_until(lambda: harness.items(origin.admin, "/api/v1/stream-keys"), 15, "the origin is told again")
            self.assertEqual(key_at(origin), key)
            for node in (origin, edge):
                self.assertNotIn(key, node.log())


if __name__ == "__main__":
    harness.main()
