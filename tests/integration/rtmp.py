"""RTMP 1.0 (Adobe, 2012), client side, sans I/O: chunks both ways and a session that publishes or
plays. Bytes to send pile up in .out; feed() takes what came."""

import os
import struct

import amf0
from flv import AUDIO, SCRIPT, VIDEO

SET_CHUNK_SIZE, ABORT, ACK, USER_CONTROL, WINDOW_ACK, PEER_BANDWIDTH = 1, 2, 3, 4, 5, 6
COMMAND = 20
HEADER_BYTES = (11, 7, 3, 0)  # by chunk format, section 5.3.1.2
OUT_CHUNK_SIZE = 1 << 20


class ChunkReader:
    """Chunks to messages (type, timestamp, stream id, body). Section 5.3."""

    def __init__(self):
        self.chunk_size = 128
        self.buf = bytearray()
        self.streams = {}  # csid -> [ts, delta, length, type, stream id, extended, partial body]

    def feed(self, data):
        self.buf += data
        buf, pos, messages = self.buf, 0, []
        while True:
            step = self._chunk(buf, pos, messages)
            if not step:
                break
            pos = step
        del buf[:pos]
        return messages

    def _chunk(self, buf, pos, messages):
        """Returns the position behind one whole chunk, or 0 when it is not there yet."""
        end = len(buf)
        if end - pos < 1:
            return 0
        fmt, csid = buf[pos] >> 6, buf[pos] & 63
        pos += 1
        if csid < 2:  # one or two bytes follow, section 5.3.1.1
            n_more = csid + 1
            if end - pos < n_more:
                return 0
            csid = 64 + buf[pos] + (buf[pos + 1] << 8 if n_more == 2 else 0)
            pos += n_more
        if end - pos < HEADER_BYTES[fmt]:
            return 0
        state = self.streams.get(csid)
        if state is None and fmt == 3:
            raise ValueError(f"type 3 opens chunk stream {csid}")
        ts, delta, length, kind, stream, extended, part = state or (0, 0, 0, 0, 0, False, b"")
        field = None
        if fmt < 3:
            field = buf[pos] << 16 | buf[pos + 1] << 8 | buf[pos + 2]
            extended = field == 0xFFFFFF
        if fmt < 2:
            length = buf[pos + 3] << 16 | buf[pos + 4] << 8 | buf[pos + 5]
            kind = buf[pos + 6]
        if fmt == 0:
            stream = struct.unpack_from("<I", buf, pos + 7)[0]
        pos += HEADER_BYTES[fmt]
        if extended:
            if end - pos < 4:
                return 0
            if field is not None:
                field = struct.unpack_from(">I", buf, pos)[0]
            pos += 4
        size = min(self.chunk_size, length - len(part))
        if end - pos < size:
            return 0
        if not part:  # a new message; later chunks of it repeat the header only
            if fmt == 0:
                ts, delta = field, 0 if field is None else field
            elif fmt < 3:
                delta, ts = field, ts + field
            else:
                ts += delta
            ts &= 0xFFFFFFFF
        body = part + bytes(buf[pos:pos + size])
        pos += size
        if len(body) == length:
            messages.append((kind, ts, stream, body))
            if kind == SET_CHUNK_SIZE and length >= 4:
                self.chunk_size = struct.unpack(">I", body[:4])[0] & 0x7FFFFFFF
            body = b""
        self.streams[csid] = (ts, delta, length, kind, stream, extended, body)
        return pos


def message(kind, ts, stream, body, csid=3, chunk_size=OUT_CHUNK_SIZE):
    """One message: a type 0 chunk and type 3 continuations. Times wrap at 2^32."""
    ts &= 0xFFFFFFFF
    field = min(ts, 0xFFFFFF)
    extended = struct.pack(">I", ts) if field == 0xFFFFFF else b""
    head = struct.pack(">BBHBHB", csid, field >> 16, field & 0xFFFF, len(body) >> 16,
                       len(body) & 0xFFFF, kind) + struct.pack("<I", stream)
    parts = [head, extended, body[:chunk_size]]
    for at in range(chunk_size, len(body), chunk_size):
        parts += [bytes([0xC0 | csid]), extended, body[at:at + chunk_size]]
    return b"".join(parts)


def command(name, transaction, *values, stream=0, chunk_size=OUT_CHUNK_SIZE):
    body = amf0.encode(name, transaction, *values)
    return message(COMMAND, 0, stream, body, 3 if stream == 0 else 8, chunk_size)


def handshake_c0c1():
    return b"\x03" + bytes(8) + os.urandom(1528)  # section 5.2; time and version zero: simple


class RtmpSession:
    """A client that publishes or plays one stream. States: handshake, connect, create, command,
    running; then whatever the server says is in .statuses."""

    def __init__(self, kind, host, app, name):
        self.kind, self.app, self.name = kind, app, name
        self.tc_url = f"rtmp://{host}/{app}"
        self.out = bytearray(handshake_c0c1())
        self.state = "handshake"
        self.buf = bytearray()
        self.reader = ChunkReader()
        self.statuses = []  # (code, description)
        self.infos = []  # the same, with all that the server said
        self.connect_more = {}  # further members of connect's object
        self.stream_id = 0
        self.window = self.received = self.acked = 0
        self.pings = 0

    @property
    def codes(self):
        return [code for code, _ in self.statuses]

    def on_media(self, kind, ts, body):
        """Overridden by who wants the media."""

    def on_running(self):
        """Overridden by who wants to know that publish or play was accepted."""

    def feed(self, data):
        if self.state == "handshake":
            self.buf += data
            if len(self.buf) < 1 + 2 * 1536:
                return
            if self.buf[0] != 3:
                raise ValueError(f"S0 is {self.buf[0]}")
            self.out += self.buf[1:1537]  # C2 repeats S1
            data = bytes(self.buf[3073:])
            self._connect()
        self._count(len(data))
        for kind, ts, _, body in self.reader.feed(data):
            self._message(kind, ts, body)

    def _count(self, n_bytes):
        self.received += n_bytes
        if self.window and self.received - self.acked >= self.window:
            self.out += message(ACK, 0, 0, struct.pack(">I", self.received & 0xFFFFFFFF), 2)
            self.acked = self.received

    def _connect(self):
        self.state = "connect"
        self.out += message(SET_CHUNK_SIZE, 0, 0, struct.pack(">I", OUT_CHUNK_SIZE), 2)
        self.out += command("connect", 1, {
            "app": self.app, "flashVer": "FMLE/3.0 (compatible; tests)", "tcUrl": self.tc_url,
            "fpad": False, "capabilities": 239, "audioCodecs": 3575, "videoCodecs": 252,
            "videoFunction": 1, **self.connect_more})

    def _message(self, kind, ts, body):
        if kind in (AUDIO, VIDEO, SCRIPT):
            self.on_media(kind, ts, body)
        elif kind == COMMAND:
            self._command(amf0.decode(body))
        elif kind == WINDOW_ACK:
            self.window = struct.unpack(">I", body)[0]
        elif kind == USER_CONTROL and body[:2] == b"\0\x06":  # ping request, section 7.1.7
            self.pings += 1
            self.out += message(USER_CONTROL, 0, 0, b"\0\x07" + body[2:6], 2)

    def _command(self, values):
        name, info = values[0], values[-1]
        if name == "_result" and self.state == "connect":
            self.state = "create"
            if self.kind == "publish":
                self.out += command("releaseStream", 2, None, self.name)
                self.out += command("FCPublish", 3, None, self.name)
            self.out += command("createStream", 4, None)
        elif name == "_result" and self.state == "create" and values[1] == 4:
            self.stream_id = int(info)
            self.state = "command"
            if self.kind == "publish":
                self.out += command("publish", 5, None, self.name, "live", stream=self.stream_id)
            else:
                self.out += message(USER_CONTROL, 0, 0, struct.pack(">HII", 3, 1, 3000), 2)
                self.out += command("play", 5, None, self.name, -2000, stream=self.stream_id)
        elif name == "onStatus" or name == "_error":
            self._status(info if isinstance(info, dict) else {})

    def _status(self, info):
        code = info.get("code", "")
        self.statuses.append((code, info.get("description", "")))
        self.infos.append(info)
        if code in ("NetStream.Publish.Start", "NetStream.Play.Start") and self.state == "command":
            self.state = "running"
            self.on_running()
