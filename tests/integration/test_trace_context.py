"""Trace ids as OpenTelemetry has them: taken from traceparent, in log lines, sent on to hooks and to the nodes that a
stream is pulled from."""

import http.client
import re
import threading
import unittest

import harness
import media
import receiver
import swarm

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def lines_of(process, message):
    """[{field: value}] of the log lines with that message."""
    found = []
    for line in process.log_lines(f" msg={message} "):
        found.append(dict(field.split("=", 1) for field in line.split() if "=" in field))
    return found


class TraceContextTest(unittest.TestCase):
    def setUp(self):
        self.told = receiver.Receiver()
        self.addCleanup(self.told.close)
        self.asked = receiver.Receiver(answer=lambda path, body: (200, {"allow": True}))
        self.addCleanup(self.asked.close)
        targets = [f"{self.told.url('/told')} batch=1 events=on_play|on_play_done",
                   f"{self.asked.url('/asked')} mode=gate events=on_play"]
        self.cluster = harness.Cluster(origins=1, edges=1, edge_set={"hooks.targets": targets})
        self.cluster.__enter__()
        self.addCleanup(self.cluster.close)
        self.flock = swarm.Swarm()
        self.addCleanup(self.flock.__exit__)
        self.origin, self.edge = self.cluster.origins[0], self.cluster.edges[0]

    def publish(self, stream):
        self.flock.publish(self.origin.rtmp, stream, swarm.Clip(media.clip("small")))
        self.flock.until(lambda: any(s["name"] == stream for s in self.origin.streams()), 10, "published")

    def play(self, stream, headers):
        """Plays some of it by HTTP; the id that the node gave the session."""
        connection = http.client.HTTPConnection(*self.edge.http, timeout=10)
        connection.request("GET", f"/{stream}.flv", headers=headers)
        answers = []
        threading.Thread(target=lambda: answers.append(connection.getresponse()), daemon=True).start()
        self.flock.until(lambda: answers, 15, "the viewer is answered")  # the publisher goes on meanwhile
        answer, = answers
        self.assertEqual(answer.status, 200)
        session = answer.getheader("X-Headwater-Session").split("/")[1]
        answer.close()
        connection.close()
        return session

    def assert_parent(self, text, trace):
        match = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01", text or "")
        self.assertTrue(match, text)
        self.assertEqual(match[1], trace)
        self.assertNotEqual(match[2], "0" * 16)

    def test_what_a_viewer_says_goes_all_the_way(self):
        self.publish("live/traced")
        session = self.play("live/traced", {"traceparent": PARENT})
        played, = lines_of(self.edge, "play")
        self.assertEqual((played["session"], played["trace"]), (session, TRACE))
        pulled, = lines_of(self.edge, "pull")
        self.assertEqual(pulled["trace"], TRACE)
        self.flock.until(lambda: lines_of(self.origin, "play"), 10, "the origin's line")
        self.assertEqual(lines_of(self.origin, "play")[0]["trace"], TRACE)
        self.assertEqual(self.told.wait_event("on_play")["trace"], TRACE)
        self.assert_parent(self.told.parents[0], TRACE)
        self.assertEqual(self.asked.questions()[0]["trace"], TRACE)
        self.assert_parent(self.asked.parents[0], TRACE)
        closed = harness.wait_until(lambda: lines_of(self.edge, "closed"), 10, "closed")
        self.assertIn(TRACE, [line["trace"] for line in closed])

    def test_a_pull_belongs_to_whom_it_is_for(self):
        self.publish("live/pulled")
        self.flock.play_rtmp(self.edge.rtmp, "live/pulled")
        self.flock.until(lambda: lines_of(self.edge, "play"), 15, "the viewer is answered")
        played, = lines_of(self.edge, "play")
        self.assertEqual(lines_of(self.edge, "pull")[0]["trace"], played["trace"])
        self.flock.until(lambda: lines_of(self.origin, "play"), 10, "the origin's line")
        self.assertEqual(lines_of(self.origin, "play")[0]["trace"], played["trace"])

    def test_without_it_all_say_one_of_our_own(self):
        self.publish("live/own")
        for headers in ({}, {"traceparent": PARENT[:-1]}, {"traceparent": PARENT.upper()}):
            before = len(lines_of(self.edge, "play"))
            session = self.play("live/own", headers)
            line = lines_of(self.edge, "play")[before]
            self.assertEqual(line["session"], session)
            self.assertRegex(line["trace"], r"^[0-9a-f]{32}$")
            self.assertNotEqual(line["trace"], TRACE)
            self.assertEqual(self.told.wait_event("on_play", session=session)["trace"], line["trace"])
        self.assertEqual(self.asked.questions()[0]["trace"], lines_of(self.edge, "play")[0]["trace"])
        self.assertEqual(len({line["trace"] for line in lines_of(self.edge, "play")}), 3)
        published, = lines_of(self.origin, "publish")
        self.assertRegex(published["trace"], r"^[0-9a-f]{32}$")


if __name__ == "__main__":
    harness.main()
