"""Nodes that are nothing but their heartbeats, by the thousand: FakeNode of the scheduler's tests, with the reports
in parts, as real nodes send them."""

import threading
import time

from test_scheduler import FakeNode

PART_STREAMS = 1000  # CLUSTER_PART_STREAMS


def report(node):
    """Everything that the node has, in one heartbeat or several. Returns the last answer."""
    streams = list(node.streams.values())
    parts = [streams[at:at + PART_STREAMS] for at in range(0, len(streams), PART_STREAMS)] or [[]]
    for i, part in enumerate(parts):
        answer = node.beat(part=i, more=i + 1 < len(parts), streams=part)
    return answer


def own(node, names, epoch):
    for name in names:
        node.streams[name] = {"name": name, "epoch": str(epoch)}


class Beating(threading.Thread):
    """A node that reports as it is told to: context manager."""

    def __init__(self, node, interval_s):
        super().__init__(daemon=True)
        self.node, self.interval_s, self.ending = node, interval_s, threading.Event()
        self.error = None

    def run(self):
        try:
            while not self.ending.is_set():
                began = time.monotonic()
                if self.node.beat(full=False, streams=[]).get("want_full"):
                    report(self.node)
                self.ending.wait(max(0, began + self.interval_s - time.monotonic()))
        except Exception as error:  # told by who waits
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.join()


def make(scheduler, role, n, prefix):
    """They answer no /healthz: nobody is to suspect them."""
    return [FakeNode(scheduler, f"{prefix}{i}", role, answers=False) for i in range(n)]
