"""Publishers of Enhanced RTMP's codecs, which the distribution's ffmpeg cannot write as FLV."""

import binascii
import json
import socket
import struct
import subprocess
import time
from fractions import Fraction

import flv
import harness
import media
from outputs import run_tool


def hevc_flv(path, seconds):
    """Of HEVC, made into an MP4 at path."""
    subprocess.run([harness.tool("ffmpeg"), "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-t", str(seconds),
                    "-i", media.VIDEO, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params",
                    "log-level=error:keyint=25:bframes=2", "-pix_fmt", "yuv420p", "-tag:v", "hvc1", path],
                   check=True)
    return enhanced_flv(path, b"hvc1")


def enhanced_flv(path, fourcc):
    """Enhanced RTMP tags, which this ffmpeg cannot write: [(type, ms, body)] of the pictures of an MP4."""
    shown = json.loads(run_tool("ffprobe", "-of", "json", "-show_streams", "-show_packets", "-show_data",
                                "-select_streams", "v", path))
    stream = shown["streams"][0]

    def binary(dump):
        lines = (line.split(": ", 1)[1].split("  ")[0] for line in dump.strip().splitlines())
        return binascii.unhexlify("".join(lines).replace(" ", ""))

    def ms(ticks):
        return round(ticks * Fraction(stream["time_base"]) * 1000)

    tags = [(flv.VIDEO, 0, b"\x90" + fourcc + binary(stream["extradata"]))]
    first = shown["packets"][0]["dts"]
    for p in shown["packets"]:
        cts = struct.pack(">I", ms(p["pts"]) - ms(p["dts"]))[1:] if fourcc == b"hvc1" else b""
        kind = 0x90 if "K" in p["flags"] else 0xA0
        tags.append((flv.VIDEO, ms(p["dts"] - first), bytes([kind | 1]) + fourcc + cts + binary(p["data"])))
    return tags


def post_tags(address, stream, tags):
    """Publishes FLV tags in real time over HTTP, to the end."""
    def tag_bytes(kind, ms, body):
        head = struct.pack(">BBHBHB", kind, len(body) >> 16, len(body) & 0xFFFF, ms >> 16 & 255, ms & 0xFFFF,
                           ms >> 24) + b"\0\0\0"
        return head + body + struct.pack(">I", len(head) + len(body))

    file = b"FLV\x01\x01\0\0\0\x09\0\0\0\0"
    pieces = [tag_bytes(*tag) for tag in tags]
    sock = socket.create_connection(address, 20)
    size = len(file) + sum(map(len, pieces))
    sock.sendall(f"POST /{stream}.flv HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode() + file)
    begin = time.monotonic()
    for (_, ms, _), piece in zip(tags, pieces):
        time.sleep(max(0, begin + ms / 1000 - time.monotonic()))
        sock.sendall(piece)
    answer = sock.recv(65536)
    sock.close()
    if b" 200 " not in answer:
        raise AssertionError(f"POST: {answer[:300]!r}")
