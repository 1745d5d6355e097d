"""What a viewer saw, frame by frame, against what a publisher sent: gaps, loss, doubles and times."""

import time

import flv
import swarm
from flv import AUDIO, VIDEO


class FrameLog(swarm.MediaLog):
    """A MediaLog that keeps each stamped frame and the longest pause."""

    def __init__(self):
        super().__init__()
        self.frames = []  # (kind, counter, time stamp, is a key frame)
        self.longest_gap_s = 0.0
        self.at = None

    def add(self, kind, ts, body):
        super().add(kind, ts, body)
        if body[-swarm.STAMP.size:-swarm.STAMP.size + 4] != swarm.STAMP_MAGIC:
            return
        now = time.monotonic()
        if self.at is not None:
            self.longest_gap_s = max(self.longest_gap_s, now - self.at)
        self.at = now
        counter = swarm.STAMP.unpack(body[-swarm.STAMP.size:])[1]
        self.frames.append((kind, counter, ts, kind == VIDEO and flv.is_key_frame(body)))

    def first_from(self, counter, kind=VIDEO):
        """The first frame of that kind whose counter is at least this one, or None."""
        return next((f for f in self.frames if f[0] == kind and f[1] >= counter), None)

    def missing(self):
        """How many frames between the first and the last one of each track did not come."""
        n = 0
        for kind in (AUDIO, VIDEO):
            counters = [f[1] for f in self.frames if f[0] == kind]
            n += counters[-1] - counters[0] + 1 - len(counters) if counters else 0
        return n

    def offsets(self, publisher):
        """Time stamps against those that were sent: one value when time went on exactly."""
        return {ts - publisher.sent_ts[kind, counter] for kind, counter, ts, _ in self.frames
                if (kind, counter) in publisher.sent_ts}


class Publisher(swarm.Publisher):
    """Remembers when each frame is due; first_counter tells its frames from another publisher's."""

    def __init__(self, *args, first_counter=0, **kwargs):
        super().__init__(*args, **kwargs)
        self.counters = {AUDIO: first_counter, VIDEO: first_counter}
        self.sent_ts = {}

    def _put(self, kind, ts, body):
        if body[-swarm.STAMP.size:-swarm.STAMP.size + 4] == swarm.STAMP_MAGIC:
            self.sent_ts[kind, swarm.STAMP.unpack(body[-swarm.STAMP.size:])[1]] = ts
        super()._put(kind, ts, body)


class Swarm(swarm.Swarm):
    def publish(self, address, stream, clip, **kwargs):
        return Publisher(self, address, stream, clip, **kwargs)

    def play_rtmp(self, address, stream):
        viewer = super().play_rtmp(address, stream)
        viewer.log = FrameLog()
        viewer.session.on_media = viewer.log.add
        return viewer

    def play_flv(self, address, stream, headers=()):
        viewer = super().play_flv(address, stream, headers)
        viewer.log = FrameLog()
        return viewer

    def play_both(self, node, stream):
        return [self.play_rtmp(node.rtmp, stream), self.play_flv(node.http, stream)]

    def until_playing(self, viewers, n=20, timeout_s=30, what="all play"):
        """n more pictures at each of them."""
        seen = {v: v.log.n_video for v in viewers}
        self.until(lambda: all(v.closed or v.log.n_video > seen[v] + n for v in viewers), timeout_s, what)
        for viewer in viewers:
            if viewer.closed or viewer.error:
                raise AssertionError(f"{what}: {viewer.stream} at {viewer.address} closed: {viewer.error}")


def forget_gaps(viewers):
    for viewer in viewers:
        viewer.log.longest_gap_s, viewer.log.at = 0.0, time.monotonic()


def longest_gap_s(viewers):
    return max(v.log.longest_gap_s for v in viewers)
