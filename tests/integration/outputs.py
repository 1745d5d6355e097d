"""Players of the endless HTTP and WebSocket forms, and ffmpeg's judgement of what they got."""

import json
import os
import re
import socket
import struct
import subprocess
import threading
from fractions import Fraction

import harness
import websocket
from websocket import WebSocket

FORMS = ("flv", "ts", "mp4")


class Player(threading.Thread):
    """Takes all that a form of a stream gives, over HTTP or a WebSocket, until the end or stop()."""

    def __init__(self, address, stream, form, over_ws=False, query=""):
        super().__init__(daemon=True)
        self.address, self.form, self.over_ws = address, form, over_ws
        self.path = f"/{stream}.{form}" + (f"?{query}" if query else "")
        self.messages, self.bytes, self.error = [], bytearray(), None
        self.status = self.headers = self.close_frame = None
        self.enough = threading.Event()
        self.name = f"{'ws ' if over_ws else ''}{form} of {stream}"
        self.start()

    def run(self):
        try:
            self._play_ws() if self.over_ws else self._play()
        except Exception as error:  # told by whoever joins the thread
            self.error = error

    def _play_ws(self):
        ws = WebSocket(self.address, self.path).open()
        self.status, self.headers = ws.status, ws.headers
        while not self.enough.is_set():
            frame = ws.frame()
            if frame is None:
                break
            if frame[0] == websocket.CLOSE:
                self.close_frame = frame
                continue
            self.messages.append(frame[1])
            self.bytes += frame[1]
        ws.close()

    def _play(self):
        sock = socket.create_connection(self.address, 20)
        sock.sendall(f"GET {self.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = bytearray()
        while b"\r\n\r\n" not in data:
            data += sock.recv(65536)
        head, _, rest = bytes(data).partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        self.bytes += rest
        while not self.enough.is_set():
            data = sock.recv(262144)
            if not data:
                break
            self.bytes += data
        sock.close()

    def end(self, timeout_s=20):
        """Waits for the end. Returns self."""
        self.join(timeout_s)
        if self.is_alive():
            raise AssertionError(f"{self.name}: no end within {timeout_s} s")
        if self.error:
            raise AssertionError(f"{self.name}: {self.error!r}")
        return self

    def stop(self):
        self.enough.set()
        return self.end()

    def has(self, n_bytes):
        if self.error:
            raise AssertionError(f"{self.name}: {self.error!r}")
        return len(self.bytes) > n_bytes


def run_tool(name, *args):
    """Standard output; AssertionError when it fails or says anything on standard error."""
    done = subprocess.run([harness.tool(name), "-v", "warning", *args], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    if done.returncode or done.stderr:
        raise AssertionError(f"{name} {' '.join(args)}: exit {done.returncode}\n{done.stderr[:2000]}")
    return done.stdout


def decode(path):
    """Times as they are: a clip that is sent over and over has a step where it begins again, which no even
    picture rate fits."""
    run_tool("ffmpeg", "-xerror", "-i", path, "-fps_mode", "passthrough", "-enc_time_base:v", "-1", "-f", "null", "-")


def packets(path):
    """{"video" | "audio": [(dts, pts, is_key)]} in seconds, as exact fractions."""
    shown = json.loads(run_tool("ffprobe", "-of", "json", "-show_entries",
                                "packet=stream_index,dts,pts,flags:stream=index,codec_type,time_base", path))
    streams = {s["index"]: (s["codec_type"], Fraction(s["time_base"])) for s in shown["streams"]}
    found = {}
    for p in shown["packets"]:
        kind, base = streams[p["stream_index"]]
        found.setdefault(kind, []).append((p["dts"] * base, p["pts"] * base, "K" in p["flags"]))
    ticks = {kind: base for kind, base in streams.values()}
    return found, ticks


def boxes(data):
    """Top-level boxes of MP4 bytes: their types."""
    types, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        types.append(kind.decode())
        at += size
    assert at == len(data), "bytes behind the last box"
    return types


class NodeTest(harness.ClusterTest):
    """One node and what its players have got."""

    cluster_args = {"origins": 1, "edges": 0, "schedulers": 0,
                    "node_set": {"publisher_grace_ms": "600", "play_wait_ms": "6000"}}

    def setUp(self):
        self.node = self.cluster.origins[0]

    def save(self, player):
        path = os.path.join(self.cluster.folder, re.sub(r"\W+", "-", player.name) + "." + player.form)
        with open(path, "wb") as file:
            file.write(player.bytes)
        return path
