"""Many publishers and viewers in one process: non-blocking sockets in one selector. Every frame that
a Publisher sends carries a counter and the time it was sent behind its payload (a relay passes
payloads untouched), so a viewer can tell loss, doubles and disorder, and the delay."""

import heapq
import selectors
import socket
import struct
import time

import flv
import rtmp
from flv import AUDIO, SCRIPT, VIDEO

STAMP = struct.Struct(">4sIQ")  # "HwTs", counter of the track, monotonic time of sending in us
STAMP_MAGIC = b"HwTs"
# In front of a stamp in H.264: length and header of a NAL unit of type 30, which decoders pass over.
STAMP_NAL = struct.pack(">IB", 1 + STAMP.size, 30)


def now_us():
    return time.monotonic_ns() // 1000


class MediaLog:
    """What a viewer saw of one stream, checked on the fly; .problems has one text per fault."""

    def __init__(self):
        self.n_audio = self.n_video = self.n_key = self.n_bytes = 0
        self.n_headers = self.n_jumped = 0
        self.first_ts = self.last_ts = None
        self.first_media_at = self.last_media_at = None  # monotonic seconds
        self.first_is_key = None
        self.last_of = {}      # track -> time stamp
        self.counter_of = {}   # track -> counter of the last stamped frame
        self.problems = []
        self.delays_us = None  # set to [] by who wants them
        self.allow_jumps = False
        self.metadata = None

    @property
    def n_frames(self):
        return self.n_audio + self.n_video

    def add(self, kind, ts, body):
        if kind == SCRIPT:
            self.metadata = body
            return
        if not body:
            return
        at = time.monotonic()
        if ts - self.last_of.get(kind, ts) & 0xFFFFFFFF > 0x7FFFFFFF:  # times wrap at 2^32
            self._problem(f"type {kind}: time stamp {ts} ms after {self.last_of[kind]} ms")
        self.last_of[kind] = ts
        if flv.is_sequence_header(kind, body):
            self.n_headers += 1
            return
        if flv.is_sequence_end(kind, body):
            return
        if self.first_media_at is None:
            self.first_media_at, self.first_ts = at, ts
        if kind == VIDEO:
            if self.first_is_key is None:
                self.first_is_key = flv.is_key_frame(body)
            self.n_video += 1
            self.n_key += flv.is_key_frame(body)
        else:
            self.n_audio += 1
        self.last_media_at, self.last_ts = at, ts
        self.n_bytes += len(body)
        if body[-STAMP.size:-STAMP.size + 4] == STAMP_MAGIC:
            self._check_stamp(kind, body)

    def _check_stamp(self, kind, body):
        _, counter, sent_us = STAMP.unpack(body[-STAMP.size:])
        expected = self.counter_of.get(kind, counter - 1) + 1
        if counter != expected:
            if self.allow_jumps and counter > expected:
                self.n_jumped += 1
            else:
                self._problem(f"type {kind}: frame {counter} where {expected} was due")
        self.counter_of[kind] = counter
        if self.delays_us is not None:
            self.delays_us.append(now_us() - sent_us)

    def _problem(self, text):
        if len(self.problems) < 20:
            self.problems.append(text)


class Conn:
    """A socket of the swarm. Subclasses fill .out and take bytes in feed()."""

    def __init__(self, swarm, address):
        self.swarm, self.address = swarm, address
        self.out = bytearray()
        self.closed = False
        self.error = None        # text, when the connection broke or the peer spoke nonsense
        self.paused = False      # does not read: a viewer that is too slow
        self.started_at = time.monotonic()
        self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if swarm.rcvbuf_bytes:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, swarm.rcvbuf_bytes)
        self.sock.setblocking(False)
        self.sock.connect_ex(address)
        self.local_port = self.sock.getsockname()[1]
        self.mask = selectors.EVENT_WRITE
        swarm.selector.register(self.sock, self.mask, self)
        swarm.conns.append(self)

    def on_events(self, mask):
        try:
            if mask & selectors.EVENT_WRITE:
                self._send()
            if mask & selectors.EVENT_READ:
                data = self.sock.recv(262144)
                if not data:
                    return self.close()
                self.feed(data)
        except (BlockingIOError, InterruptedError):
            pass
        except (OSError, ValueError, IndexError, struct.error) as error:
            self.error = f"{type(error).__name__}: {error}"
            return self.close()
        self.update()

    def _send(self):
        if self.out:
            del self.out[:self.sock.send(self.out)]

    def send_now(self):
        """Tries at once; what the socket does not take goes out when it can."""
        if self.closed:
            return
        try:
            self._send()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self.error = str(error)
            return self.close()
        self.update()

    def update(self):
        if self.closed:
            return
        mask = (0 if self.paused else selectors.EVENT_READ) | (selectors.EVENT_WRITE if self.out else 0)
        if mask == self.mask:
            return
        if self.mask and mask:
            self.swarm.selector.modify(self.sock, mask, self)
        elif mask:
            self.swarm.selector.register(self.sock, mask, self)
        else:
            self.swarm.selector.unregister(self.sock)
        self.mask = mask

    def pause(self, paused=True):
        self.paused = paused
        self.update()

    def close(self):
        if self.closed:
            return
        self.closed = True
        if self.mask:
            self.swarm.selector.unregister(self.sock)
        self.mask = 0
        self.sock.close()

    def feed(self, data):
        raise NotImplementedError


class RawConn(Conn):
    """Sends bytes, keeps what comes back."""

    def __init__(self, swarm, address, data=b""):
        super().__init__(swarm, address)
        self.received = bytearray()
        self.out += data

    def feed(self, data):
        self.received += data


class RtmpConn(Conn):
    def __init__(self, swarm, address, kind, stream):
        super().__init__(swarm, address)
        app, name = stream.rsplit("/", 1)
        self.session = rtmp.RtmpSession(kind, f"{address[0]}:{address[1]}", app, name)
        self.out = self.session.out  # one buffer: what the session says is sent
        self.stream = stream

    def feed(self, data):
        self.session.feed(data)

    @property
    def codes(self):
        return self.session.codes

    @property
    def is_running(self):
        return self.session.state == "running"


class RtmpViewer(RtmpConn):
    def __init__(self, swarm, address, stream):
        super().__init__(swarm, address, "play", stream)
        self.log = MediaLog()
        self.session.on_media = self.log.add


class FlvViewer(Conn):
    """GET of a stream; follows one 302 with a new connection of its own when told to."""

    def __init__(self, swarm, address, stream, headers=()):
        super().__init__(swarm, address)
        self.stream, self.log = stream, MediaLog()
        self.status, self.head, self.headers, self.buf = None, b"", {}, bytearray()
        self.flv, self.chunks, self.body = flv.FlvReader(), None, bytearray()
        lines = [f"GET /{stream}.flv HTTP/1.1", f"Host: {address[0]}:{address[1]}", *headers]
        self.out += ("\r\n".join(lines) + "\r\n\r\n").encode()

    def feed(self, data):
        if self.status is None:
            self.buf += data
            end = self.buf.find(b"\r\n\r\n")
            if end < 0:
                return
            self._head(bytes(self.buf[:end]))
            data = bytes(self.buf[end + 4:])
        if self.chunks is not None:
            data = self.chunks.feed(data)
        if self.status != 200:
            self.body += data
            return
        for tag in self.flv.feed(data):
            self.log.add(*tag)

    def _head(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        if "chunked" in self.headers.get("transfer-encoding", ""):
            self.chunks = ChunkedReader()


class ChunkedReader:
    """RFC 9112, 7.1."""

    def __init__(self):
        self.buf, self.left = bytearray(), 0

    def feed(self, data):
        self.buf += data
        out = bytearray()
        while self.buf:
            if self.left == 0:
                end = self.buf.find(b"\r\n")
                if end < 0:
                    break
                if end:  # the CRLF behind a chunk is an empty line
                    self.left = int(bytes(self.buf[:end]).split(b";")[0], 16)
                del self.buf[:end + 2]
                continue
            piece = self.buf[:self.left]
            out += piece
            self.left -= len(piece)
            del self.buf[:len(piece)]
        return bytes(out)


class Clip:
    """Tags of a generated FLV file, ready to be sent over and over with time going on."""

    def __init__(self, path):
        tags = flv.read_file(path)
        self.metadata = next((t.body for t in tags if t.type == SCRIPT), None)
        self.headers = [t for t in tags if t.type != SCRIPT and flv.is_sequence_header(t.type, t.body)]
        self.frames = [t for t in tags if t.type != SCRIPT and not flv.is_sequence_header(t.type, t.body)
                       and not flv.is_sequence_end(t.type, t.body)]
        last = self.frames[-1].ts
        n_video = sum(1 for t in self.frames if t.type == VIDEO) or len(self.frames)
        self.duration_ms = last - self.frames[0].ts + max(1, round(last / n_video))


class Publisher(RtmpConn):
    """Publishes a clip in real time, looping, until stop()."""

    def __init__(self, swarm, address, stream, clip, start_ts=0, speed=1.0):
        super().__init__(swarm, address, "publish", stream)
        self.clip, self.start_ts, self.speed = clip, start_ts, speed
        self.next_frame = self.loop = 0
        self.counters = {AUDIO: 0, VIDEO: 0}
        self.ended = False
        self.begin_at = None
        self.session.on_running = self._on_running

    @property
    def n_sent(self):
        return sum(self.counters.values())

    @property
    def last_ts(self):
        return self.start_ts + self._due_ms(self.next_frame)

    def _on_running(self):
        self.begin_at = time.monotonic()
        if self.clip.metadata is not None:
            body = b"\x02\x00\x0d@setDataFrame" + self.clip.metadata
            self.out += rtmp.message(SCRIPT, self.start_ts, self.session.stream_id, body, 4)
        for tag in self.clip.headers:
            self._put(tag.type, self.start_ts, tag.body)
        self.swarm.schedule(self.begin_at, self)

    def _put(self, kind, ts, body):
        self.out += rtmp.message(kind, ts, self.session.stream_id, body, 4 if kind == AUDIO else 6)

    def _due_ms(self, index):
        return self.loop * self.clip.duration_ms + self.clip.frames[index].ts - self.clip.frames[0].ts

    def on_due(self):
        """Sends what is due and returns the time of the next frame, or None."""
        if self.closed or self.ended:
            return None
        elapsed_ms = (time.monotonic() - self.begin_at) * 1000 * self.speed
        while (due_ms := self._due_ms(self.next_frame)) <= elapsed_ms:
            tag = self.clip.frames[self.next_frame]
            stamp = STAMP.pack(STAMP_MAGIC, self.counters[tag.type], now_us())
            self.counters[tag.type] += 1
            self._put(tag.type, self.start_ts + due_ms, tag.body + (STAMP_NAL if tag.type == VIDEO else b"") + stamp)
            self.next_frame += 1
            if self.next_frame == len(self.clip.frames):
                self.next_frame, self.loop = 0, self.loop + 1
        self.send_now()
        return self.begin_at + due_ms / 1000 / self.speed

    def stop(self):
        """Sends nothing more, says goodbye as encoders do."""
        self.ended = True
        self.out += rtmp.command("FCUnpublish", 6, None, self.session.name)
        self.out += rtmp.command("deleteStream", 7, None, self.session.stream_id)
        self.send_now()


class Swarm:
    """Context manager; run() drives everything until a condition holds."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.conns, self.timers, self.n_timers = [], [], 0
        self.rcvbuf_bytes = 0  # set it small before a connection that is to be slow

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for conn in self.conns:
            conn.close()
        self.selector.close()

    def raw(self, address, data=b""):
        return RawConn(self, address, data)

    def play_rtmp(self, address, stream):
        return RtmpViewer(self, address, stream)

    def play_flv(self, address, stream, headers=()):
        return FlvViewer(self, address, stream, headers)

    def publish(self, address, stream, clip, **kwargs):
        return Publisher(self, address, stream, clip, **kwargs)

    def schedule(self, at, publisher):
        self.n_timers += 1
        heapq.heappush(self.timers, (at, self.n_timers, publisher))

    def turn(self, deadline):
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            _, _, publisher = heapq.heappop(self.timers)
            due = publisher.on_due()
            if due is not None:
                self.schedule(due, publisher)
        until = min(deadline, self.timers[0][0] if self.timers else deadline)
        # At least 5 ms: with many publishers, frames go out in batches.
        wait_s = max(0.005, until - time.monotonic())
        for key, mask in self.selector.select(wait_s):
            key.data.on_events(mask)

    def run(self, seconds):
        self.until(lambda: False, seconds, fail=False)

    def until(self, condition, timeout_s, what="condition", fail=True):
        """Returns whether condition came true; raises AssertionError when it had to."""
        deadline = time.monotonic() + timeout_s
        while True:
            if condition():
                return True
            if time.monotonic() >= deadline:
                break
            self.turn(min(deadline, time.monotonic() + 0.1))
        if fail:
            raise AssertionError(f"{what}: not so within {timeout_s} s")
        return False


def allow_jumps(viewers):
    """Counters may go on anywhere further on; back or twice stays a fault."""
    for viewer in viewers:
        viewer.log.allow_jumps = True
