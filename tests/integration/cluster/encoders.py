"""Encoders that do what encoders in the field do when their server goes away: connect again, to the next one in
their list."""

import socket
import time

import media
import swarm
from cluster import live

RETRY_S = 0.2    # between the end of one connection and the next
ANSWER_S = 3.0   # a server that has not accepted by then is given up
UNACKED_MS = 3000  # and one that does not even acknowledge what is sent


class _Session(swarm.Publisher):
    """One connection of an Encoder."""

    encoder = None

    def _put(self, kind, ts, body):
        if live.is_key_frame(kind, body):
            self.encoder.key_times.append(time.monotonic())
        super()._put(kind, ts, body)

    def _on_running(self):
        super()._on_running()
        self.encoder.accepted_at = time.monotonic()

    def feed(self, data):
        super().feed(data)
        if self.codes and not self.is_running:
            self.close()  # refused

    def close(self):
        was_open = not self.closed
        super().close()
        if was_open:
            self.encoder.on_lost()


class Encoder:
    """Publishes one stream; in the swarm's thread. Its frames are numbered on across connections."""

    def __init__(self, flock, stream, addresses, clip, retry_s=RETRY_S):
        self.flock, self.stream, self.addresses, self.clip = flock, stream, addresses, clip
        self.retry_s, self.ended, self.session = retry_s, False, None
        self.n_connects, self.next_address = 0, 0
        self.lost_at = self.accepted_at = None
        self.key_times = []  # when a key frame was sent
        self._connect()

    @property
    def is_running(self):
        return self.session.is_running and not self.session.closed

    @property
    def address(self):
        """Where it publishes now."""
        return self.session.address

    def _connect(self):
        before, self.n_connects = self.session, self.n_connects + 1
        address = self.addresses[self.next_address % len(self.addresses)]
        self.next_address += 1
        self.session = _Session(self.flock, address, self.stream, self.clip)
        self.session.encoder = self
        if before:
            self.session.counters = before.counters
            self.flock.conns.remove(before)
        self.session.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKED_MS)
        self.connected_at = time.monotonic()
        self.flock.schedule(self.connected_at + ANSWER_S, self)

    def on_lost(self):
        self.lost_at = time.monotonic()
        self.flock.schedule(self.lost_at + self.retry_s, self)

    def on_due(self):
        if self.ended:
            return
        if self.session.closed:
            if time.monotonic() >= self.lost_at + self.retry_s:
                self._connect()
        elif not self.session.is_running and time.monotonic() >= self.connected_at + ANSWER_S:
            self.session.close()

    def go_home(self):
        """Back to the first server of the list."""
        if self.is_running and self.address == self.addresses[0]:
            return
        self.next_address = 0
        if not self.session.closed:
            self.session.stop()
            self.session.close()

    def stop(self):
        self.ended = True
        if not self.session.closed:
            self.session.stop()
            self.session.close()


class Ffmpeg:
    """A real encoder on a host of its own, under a supervisor that starts it again for the next server."""

    LOOK_S = 0.1

    def __init__(self, flock, host, stream, addresses, path, folder):
        self.flock, self.host, self.stream, self.addresses = flock, host, stream, addresses
        self.path, self.folder = path, folder
        self.ended, self.n_connects, self.next_address = False, 0, 0
        self._start()
        flock.schedule(time.monotonic() + self.LOOK_S, self)

    @property
    def is_running(self):
        return self.process.is_alive()

    def _start(self):
        self.address = self.addresses[self.next_address % len(self.addresses)]
        self.next_address += 1
        self.n_connects += 1
        url = "rtmp://%s:%d/%s" % (*self.address, self.stream)
        with self.host.inside():
            self.process = media.publish(self.path, url, self.folder, f"ffmpeg-{self.host.name}", loop=True)

    def on_due(self):
        if self.ended:
            return None
        if not self.process.is_alive():
            self._start()
        return time.monotonic() + self.LOOK_S

    def go_home(self):
        if self.address != self.addresses[0]:
            self.next_address = 0
            self.process.kill()

    def stop(self):
        self.ended = True
        self.process.kill()
