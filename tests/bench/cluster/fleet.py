"""Nodes that are nothing but their heartbeats, by the thousand: FakeNode of the scheduler's tests, with the reports
in parts, as real nodes send them."""

import threading
import time

from fake_node import FakeNode

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


class Repeating(threading.Thread):
    """Context manager: does step(), which gives the seconds until the next one, again and again. An error ends it, and
    is raised at the end."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ending, self.error = threading.Event(), None

    def run(self):
        try:
            while not self.ending.wait(self.step()):
                pass
        except Exception as error:  # raised where it is waited for
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.ending.set()
        self.join()
        if self.error and not kind:
            raise self.error


class Beating(Repeating):
    """A node that reports as it is told to."""

    def __init__(self, node, interval_s):
        super().__init__()
        self.node, self.interval_s = node, interval_s

    def step(self):
        began = time.monotonic()
        if self.node.beat(full=False, streams=[]).get("want_full"):
            report(self.node)
        return max(0, began + self.interval_s - time.monotonic())


def make(scheduler, role, n, prefix):
    """They answer no /healthz: nobody is to suspect them."""
    return [FakeNode(scheduler, f"{prefix}{i}", role, answers=False) for i in range(n)]
