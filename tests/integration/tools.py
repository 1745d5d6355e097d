"""headwater-tool as tests run it."""

import json
import os
import signal
import subprocess
import tempfile

import harness

TOOL = os.path.join(harness.BIN_DIR, "headwater-tool")


class Tool:
    """A running command; finish() or interrupt() ends it."""

    def __init__(self, *args, stdin=None):
        self.popen = subprocess.Popen([TOOL, *args], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      env={**os.environ, **harness.sanitizer_env()})

    def finish(self, timeout_s=30, data=None):
        """Waits; returns (exit code, stdout, stderr)."""
        try:
            out, err = self.popen.communicate(input=data, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise AssertionError(f"still runs: {self.popen.communicate()[1].decode()}") from None
        for sign in harness.SANITIZER_SIGNS:
            assert sign not in err.decode(), err.decode()
        return self.popen.returncode, out, err.decode()

    def interrupt(self):
        self.popen.send_signal(signal.SIGINT)
        return self.finish()


def run(*args, data=None):
    return Tool(*args, stdin=subprocess.PIPE if data is not None else None).finish(data=data)


class ToolTest(harness.ClusterTest):
    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0, "node_set": {"play_wait_ms": "3000", "publisher_grace_ms": "300"}}

    def setUp(self):
        self.node = self.cluster.nodes[0]
        self.folder = tempfile.TemporaryDirectory(prefix="headwater-test-")
        self.addCleanup(self.folder.cleanup)
        self.running = []
        self.addCleanup(self._end_all)

    def _end_all(self):
        for one in self.running:
            if one.popen.poll() is None:
                one.popen.kill()
                one.popen.communicate()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def start(self, *args, **more):
        self.running.append(Tool(*args, **more))
        return self.running[-1]

    def publish(self, clip, stream, *args):
        """Pushes without end; returns when players get it."""
        push = self.start("push", clip, self.node.url(stream), "--loop", *args)
        self.wait_stream(stream)
        return push

    def wait_stream(self, stream, node=None):
        harness.wait_until(lambda: stream in [s["name"] for s in (node or self.node).streams()], what=stream)

    def url(self, stream, ending):
        return self.node.url(stream, "http").replace(".flv", ending)


def analyze(path):
    code, out, err = run("analyze", path, "--json", "-")
    figures = json.loads(out)
    return code, {track["kind"]: track for track in figures["tracks"]}, err
