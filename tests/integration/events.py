"""A reader of /api/v1/events: the real curl, and what it gets."""

import json
import subprocess
import threading

import harness


class Reader(threading.Thread):
    """events: what came, {"id", "event", "data"}; comments: their texts."""

    def __init__(self, node, query="", last_id=None, scheme="http", flags=()):
        super().__init__(daemon=True)
        url = "%s://%s:%d/api/v1/events%s" % (scheme, *node.admin, query)
        argv = [harness.tool("curl"), "-sN", "--max-time", "120", *flags]
        if last_id:
            argv += ["-H", f"Last-Event-ID: {last_id}"]
        self.events, self.comments, self.last_id = [], [], None
        self.began = threading.Event()
        self.curl = subprocess.Popen([*argv, url], stdout=subprocess.PIPE, text=True)
        self.start()
        if not self.began.wait(10):
            raise AssertionError(f"{url}: nothing came")

    def run(self):
        block = {}
        for line in self.curl.stdout:
            line = line.rstrip("\n")
            if line.startswith(":"):
                self.comments.append(line[1:].strip())
            elif line:
                key, _, value = line.partition(": ")
                block[key] = value
            elif block:
                self._take(block)
                block = {}
                self.began.set()

    def _take(self, block):
        self.last_id = block.get("id", self.last_id)
        if "data" in block:
            self.events.append({"id": block.get("id"), "event": block["event"], "data": json.loads(block["data"])})

    def of(self, name=None, **fields):
        """Data of the events of that name whose fields are these."""
        return [e["data"] for e in list(self.events) if name in (None, e["event"])
                and fields.items() <= e["data"].items()]

    def wait(self, name, timeout_s=15, **fields):
        """The first one of them, once it is there."""
        return harness.wait_until(lambda: self.of(name, **fields), timeout_s, lambda: (
            f"{name} {fields}; came: {[(e['event'], e['data']) for e in self.events]}"))[0]

    def close(self):
        self.curl.kill()
        self.curl.wait()
        self.join(10)
        self.curl.stdout.close()
