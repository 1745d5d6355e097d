"""A WebSocket client for tests (RFC 6455): blocking, and able to break the rules on purpose."""

import base64
import hashlib
import os
import socket
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebSocket:
    """Connects and asks; status is 101 when it is open, else body has the refusal. tls: an ssl.SSLContext,
    for wss; the server is to be localhost then."""

    def __init__(self, address, path, protocols=(), version=13, timeout_s=20, tls=None, origin=None):
        self.sock = socket.create_connection(address, timeout_s)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self.buf = bytearray()
        key = base64.b64encode(os.urandom(16))
        lines = [f"GET {path} HTTP/1.1", f"Host: {address[0]}:{address[1]}", "Upgrade: websocket",
                 "Connection: keep-alive, Upgrade", f"Sec-WebSocket-Key: {key.decode()}",
                 f"Sec-WebSocket-Version: {version}"]
        if origin:
            lines.append(f"Origin: {origin}")
        if protocols:
            lines.append(f"Sec-WebSocket-Protocol: {', '.join(protocols)}")
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        self.status = None

    def open(self):
        """Waits for the answer. Returns self."""
        head = self._take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        self.status = int(head[0].split(" ")[1])
        fields = (line.partition(":") for line in head[1:] if line)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        if self.status != 101:
            self.body = self._take(int(self.headers["content-length"]))
        elif self.headers["sec-websocket-accept"] != self.accept:
            raise AssertionError(f"Sec-WebSocket-Accept {self.headers['sec-websocket-accept']!r}")
        return self

    def _more(self):
        data = self.sock.recv(262144)
        self.buf += data
        return bool(data)

    def _take_until(self, mark):
        while mark not in self.buf:
            if not self._more():
                raise EOFError(f"ended within the head: {bytes(self.buf[:200])!r}")
        return self._take(self.buf.index(mark) + len(mark))

    def _take(self, n):
        while len(self.buf) < n:
            if not self._more():
                raise EOFError(f"{len(self.buf)} of {n} bytes, then the end")
        data = bytes(self.buf[:n])
        del self.buf[:n]
        return data

    def frame(self):
        """(opcode, payload) of the next frame; None at the end. Servers send whole, unmasked ones."""
        if not self.buf and not self._more():
            return None
        first, size = self._take(2)
        if size == 126:
            size, = struct.unpack(">H", self._take(2))
        elif size == 127:
            size, = struct.unpack(">Q", self._take(8))
        if first & 0xF0 != 0x80 or size & 1 << 63:
            raise AssertionError(f"frame begins with {first:#x}, {size} bytes")
        return first & 15, self._take(size)

    def until(self, opcode):
        """The next frame of this kind; what others there are goes by. None at the end."""
        while True:
            frame = self.frame()
            if frame is None or frame[0] == opcode:
                return frame

    def send(self, opcode, payload=b"", fin=True, masked=True):
        head = bytearray([opcode | (0x80 if fin else 0)])
        bit = 0x80 if masked else 0
        if len(payload) < 126:
            head.append(bit | len(payload))
        else:
            head += struct.pack(">BH", bit | 126, len(payload))
        mask = os.urandom(4) if masked else b""
        if masked:
            payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.sock.sendall(bytes(head) + mask + payload)

    def close(self):
        self.sock.close()


def close_code(frame):
    """Of a close frame; None when it has none."""
    return struct.unpack(">H", frame[1][:2])[0] if len(frame[1]) >= 2 else None
