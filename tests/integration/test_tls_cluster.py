"""TLS inside a cluster: nodes and schedulers talk to each other over it and verify whom they reach, and people
are sent on by the scheme that they came with."""

import shutil
import tempfile

import certs
import harness
import media
from test_tls import HERE, Viewer


class TlsClusterTest(harness.ClusterTest):
    """The origin has no plain HTTP at all: what comes from it came over TLS. Another edge believes somebody
    else's authority."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="headwater-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.ca, cls.stranger = certs.Authority(cls.folder, "cluster-ca"), certs.Authority(cls.folder, "stranger")
        pair = "=".join(cls.ca.issue("node", HERE))
        cls.scheduler_port, origin, edge = (harness.free_port() for _ in range(3))
        tls = {"tls.certificates": pair, "tls.ca_file": cls.ca.path}
        cls.cluster_args = {
            "origins": 1, "edges": 1,
            "scheduler_set": {"https.listen": f"127.0.0.1:{cls.scheduler_port}", **tls},
            "node_set": {"cluster.schedulers": f"https://localhost:{cls.scheduler_port}", "rtmps.listen": "127.0.0.1:0",
                         "play_wait_ms": "3000", **tls},
            "origin_set": {"http.listen": "", "cluster.redirect": "on", **cls.at(origin)}, "edge_set": cls.at(edge)}
        super().setUpClass()
        cls.origin, cls.edge = cls.cluster.origins[0], cls.cluster.edges[0]

    @staticmethod
    def at(port):
        return {"https.listen": f"127.0.0.1:{port}", "cluster.advertise.internal.https": f"https://127.0.0.1:{port}",
                "cluster.advertise.public.https": f"https://localhost:{port}"}

    def publish(self, node, stream):
        process = media.publish(media.clip("h264_aac"), node.url(stream), self.cluster.folder, loop=True)
        self.addCleanup(process.stop)
        self.cluster.wait_route(stream)

    def watch(self, node, stream, context=None):
        viewer = Viewer(node.https if context else node.http, stream, context)
        self.addCleanup(viewer.close)
        viewer.see_more(50000)

    def test_an_edge_pulls_from_its_origin_over_tls(self):
        self.assertIsNone(self.origin.http)
        self.publish(self.origin, "live/pulled")
        self.watch(self.edge, "live/pulled", self.ca.context())
        line = self.edge.wait_log("msg=pull ")
        self.assertIn(f"upstream=https://127.0.0.1:{self.origin.https[1]}/live/pulled.flv", line)

    def test_an_edge_forwards_to_its_origin_over_tls(self):
        self.publish(self.edge, "live/forwarded")
        self.edge.wait_log("msg=forward ")
        self.assertIn("live/forwarded", [s["name"] for s in self.origin.streams()])
        self.watch(self.edge, "live/forwarded")

    def test_an_edge_refuses_an_origin_that_it_does_not_believe(self):
        self.publish(self.origin, "live/doubted")
        edge = self.cluster.make_node("edge", 1, tls__ca_file=self.stranger.path, tls__certificates="",
                                      cluster__schedulers="http://%s:%d" % self.cluster.scheduler.http)
        self.cluster.edges.append(edge)
        edge.learn()
        self.cluster.wait_settled()
        self.assertEqual(harness.http_request(edge.http, "/live/doubted.flv")[0], 404)
        line = edge.wait_log("pull failed")
        self.assertIn(f"upstream=https://127.0.0.1:{self.origin.https[1]}/", line)
        self.assertIn("certificate verify failed: unable to get local issuer certificate", line)
        self.assertIn("host=127.0.0.1 peer=127.0.0.1:", edge.wait_log("handshake failed"))

    def test_people_are_sent_on_by_the_scheme_that_they_came_with(self):
        self.publish(self.origin, "live/entry")
        self.watch(self.edge, "live/entry")  # the edge has it: it is where both are sent
        harness.wait_until(lambda: any(s["name"] == "live/entry" and s["n_carriers"]
                                       for s in harness.items(self.cluster.scheduler.http, "/api/v1/streams")),
                           10, "the scheduler knows that the edge has it")
        http_place = "http://%s:%d" % self.edge.http
        for address, context, place in (
                (self.cluster.scheduler.http, None, http_place),
                (("localhost", self.scheduler_port), self.ca.context(), f"https://localhost:{self.edge.https[1]}")):
            status, headers, _ = harness.http_request(address, "/live/entry.flv?token=1", context=context)
            self.assertEqual((status, headers["location"]), (302, f"{place}/live/entry.flv?token=1"))

    def test_an_origin_sends_https_viewers_to_https(self):
        status, headers, _ = harness.http_request(("localhost", self.origin.https[1]), "/live/elsewhere.ts",
                                                  context=self.ca.context())
        self.assertEqual((status, headers["location"]),
                         (302, f"https://localhost:{self.edge.https[1]}/live/elsewhere.ts"))

    def test_a_scheduler_that_is_not_believed_is_named_with_the_reason(self):
        node = self.cluster.make_node("edge", 7, tls__ca_file=self.stranger.path, tls__certificates="").learn()
        self.addCleanup(node.kill)
        self.assertIn("certificate verify failed: unable to get local issuer certificate",
                      node.wait_log(f"host=localhost peer=localhost:{self.scheduler_port}"))
        self.assertIn(f"server=https://localhost:{self.scheduler_port}", node.wait_log("server failed"))


if __name__ == "__main__":
    harness.main()
