"""A node that pulls over RTMP from servers that are not of its cluster: one that leaves and says where to go on, and
one that knows nothing of Enhanced RTMP."""

import os
import shutil
import signal

import harness
import media
import swarm
from test_cluster import until_playing

NGINX_RTMP = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
NGINX_CONF = """
load_module {module};
{user}
daemon off;
worker_processes 1;
error_log {folder}/nginx.log info;
pid {folder}/nginx.pid;
events {{ }}
rtmp {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        application live {{
            live on;
            wait_key on;
        }}
    }}
}}
"""


def nginx_path():
    """Debian has it where only root's PATH leads."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin") or harness.tool("nginx")


def small():
    return swarm.Clip(media.clip("small"))


def make_puller(test, index, source, **more):
    """A node of no cluster, which pulls live/a from there."""
    node = test.cluster.make_node("edge", index, cluster__schedulers="", cluster__token_file="",
                                  pull__sources=[f"live/a={source}"], **more)
    return node.learn()


def viewers_of(flock, node):
    return [flock.play_flv(node.http, "live/a"), flock.play_rtmp(node.rtmp, "live/a")]


class LeavingTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 2, "node_set": {"drain_timeout_s": "30"}}

    def pulls(self, node):
        return [s for s in node.sessions() if (s["protocol"], s["kind"], s["stream"]) == ("rtmp", "play", "live/a")]

    def test_pull_goes_where_the_server_says_and_viewers_get_each_frame_once(self):
        leaving, staying = self.cluster.edges
        puller = make_puller(self, 7, leaving.url("live/a"))
        with swarm.Swarm() as flock:
            flock.publish(self.cluster.origins[0].rtmp, "live/a", small())
            viewers = viewers_of(flock, puller)
            plain = flock.play_rtmp(leaving.rtmp, "live/a")
            until_playing(flock, [*viewers, plain])
            self.assertEqual((len(self.pulls(leaving)), len(self.pulls(staying))), (2, 0))
            leaving.signal(signal.SIGTERM)
            flock.until(lambda: self.pulls(staying), 10, "the pull is at the other edge")
            flock.until(lambda: len(self.pulls(leaving)) == 1, 10, "and not at the one that leaves")
            self.assertEqual(leaving.metrics().total("headwater_play_reconnect_requests_total"), 1)
            self.assertNotIn("NetConnection.Connect.ReconnectRequest", plain.codes, "it did not announce that it can")
            plain.close()
            flock.until(lambda: not leaving.is_alive(), 10, "nobody holds it any more")
            leaving.expect_death = True
            self.assertEqual(leaving.popen.returncode, 0)
            until_playing(flock, viewers)
            self.assert_clean(*viewers)
            self.assertEqual(len(puller.log_lines('msg="asked to reconnect"')), 1, puller.tail())
            self.assertIn("This server is about to leave.", puller.log())
            metrics = puller.metrics()
            self.assertEqual(metrics.total("headwater_relay_reconnect_requests_total", result="followed"), 1)
            self.assertEqual(metrics.total("headwater_relay_pulls_total", result="switched"), 1)
            self.assertEqual(metrics.total("headwater_relay_pulls_total", result="lost"), 0)


class ClassicTest(harness.ClusterTest):
    """nginx with its RTMP module, which is older than Enhanced RTMP."""

    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0}

    def start_nginx(self):
        port, folder = harness.free_port(), self.cluster.folder
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w") as file:
            file.write(NGINX_CONF.format(module=NGINX_RTMP, folder=folder, port=port,
                                         user="user root;" if os.geteuid() == 0 else ""))
        process = harness.Process("nginx", [nginx_path(), "-c", path, "-p", folder], folder)
        self.addCleanup(process.stop)
        return "127.0.0.1", port

    def test_server_that_knows_no_enhanced_rtmp_is_pulled_from(self):
        address = self.start_nginx()
        puller = make_puller(self, 8, "rtmp://%s:%d/live/a" % address)
        with swarm.Swarm() as flock:
            def is_there():
                probe = flock.raw(address)
                flock.run(0.05)
                probe.close()
                return not probe.error
            harness.wait_until(is_there, 10, "nginx accepts")
            publisher = flock.publish(address, "live/a", small())
            flock.until(lambda: publisher.is_running, 10, "nginx takes the stream")
            viewers = viewers_of(flock, puller)
            until_playing(flock, viewers)
            self.assert_clean(*viewers)
            self.assertEqual(puller.metrics().total("headwater_relay_pulls_total", result="lost"), 0)


if __name__ == "__main__":
    harness.main()
