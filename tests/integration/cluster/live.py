"""A swarm that runs in a thread of its own, so that whoever breaks and mends things may wait without holding up
the media. The encoders and viewers that are precise live in it."""

import queue
import threading
import time
from concurrent.futures import Future

import flv
import swarm
from flv import SCRIPT, VIDEO

TURN_S = 0.02
HICCUP_S = 0.1


class Live:
    """Context manager. The swarm is touched in its thread only: by do(), or by what a turn calls."""

    def __enter__(self):
        self.flock, self.ending, self.error = swarm.Swarm(), False, None
        self.calls = queue.SimpleQueue()
        self.hiccups = []  # (when a turn began, how long it took), where that was long: the machine was busy
        self.thread = threading.Thread(target=self._run, name="swarm", daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        self.thread.join()
        self.flock.__exit__()

    def do(self, call, *args, **kwargs):
        """call(...) in the swarm's thread; returns what it returns."""
        future = Future()
        self.calls.put((future, lambda: call(*args, **kwargs)))
        while True:
            try:
                return future.result(timeout=1)
            except TimeoutError:
                if future.done():
                    raise  # the call's own
                if not self.thread.is_alive():
                    raise AssertionError(f"the swarm has ended: {self.error!r}") from self.error

    def _run(self):
        try:
            while not self.ending:
                began = time.monotonic()
                self._serve_calls()
                self.flock.turn(time.monotonic() + TURN_S)
                if time.monotonic() - began > HICCUP_S:
                    self.hiccups.append((began, time.monotonic() - began))
        except Exception as error:  # told by the next do()
            self.error = error

    def longest_hiccup_s(self, begin, end):
        return max((took_s for at, took_s in list(self.hiccups) if begin <= at + took_s and at <= end), default=0.0)

    def _serve_calls(self):
        while not self.calls.empty():
            future, call = self.calls.get()
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)


class Trace(swarm.MediaLog):
    """What a viewer saw, frame by frame. Counters may jump forward (frames were lost: n_jumped says how often);
    going back or twice is a problem."""

    def __init__(self):
        super().__init__()
        self.allow_jumps = True
        self.is_counted = True  # False: several encoders number their frames each for itself
        self.max_step_ms = 1000  # of time stamps within a track; more is not continuous
        self.frames = []        # (when it came, kind, dts in ms)

    def _check_stamp(self, kind, body):
        if self.is_counted:
            super()._check_stamp(kind, body)

    def add(self, kind, ts, body):
        n, before = self.n_frames, self.last_of.get(kind)
        super().add(kind, ts, body)
        if self.n_frames == n:
            return
        if before is not None and ts - before > self.max_step_ms:
            self._problem(f"type {kind}: time stamp {ts} ms after {before} ms")
        self.frames.append((self.last_media_at, kind, ts))

    def n_since(self, at):
        """Frames that came since then."""
        n = 0
        for frame in reversed(self.frames):
            if frame[0] < at:
                break
            n += 1
        return n

    def longest_pause_s(self, begin, end, track=None):
        """Between two frames, of one track if it is named, of which the second came in this time; or since the last
        one, at its end."""
        longest, last = 0.0, None
        for at, kind, _ in list(self.frames):
            if at > end:
                break
            if track not in (None, kind):
                continue
            if last is not None and at >= begin:
                longest = max(longest, at - last)
            last = at
        return max(longest, end - max(last, begin)) if last is not None else end - begin


def watch(live, node, stream, protocol):
    """A viewer with a Trace."""
    def join():
        if protocol == "rtmp":
            viewer = live.flock.play_rtmp(node.rtmp, stream)
        else:
            viewer = live.flock.play_flv(node.http, stream)
        viewer.log = Trace()
        if protocol == "rtmp":
            viewer.session.on_media = viewer.log.add
        viewer.node, viewer.name = node, f"{stream} at {node.id} by {protocol}"
        return viewer
    return live.do(join)


def is_key_frame(kind, body):
    return kind == VIDEO and flv.is_key_frame(body) and not flv.is_sequence_header(kind, body)
