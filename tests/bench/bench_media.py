"""Clips of known rates, and the same as a viewer of Headwater gets them."""

import os
import socket
import struct

import flv
import harness
import media
from bench_load import Load

X264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 50 -keyint_min 50 -bf 0 -sc_threshold 0"
SECONDS = 10  # five GOPs of 2 s
CLIPS = {
    "200k": ((media.VIDEO, media.AUDIO),
             f"{X264} -b:v 130k -minrate 130k -maxrate 130k -bufsize 130k -c:a aac -b:a 64k"),
    "2500k": (("testsrc2=size=1280x720:rate=25", media.AUDIO),
              f"{X264} -b:v 2400k -minrate 2400k -maxrate 2400k -bufsize 2400k -c:a aac -b:a 64k"),
    # as little as a stream can be, for very many of them
    "2fps": (("testsrc2=size=64x36:rate=2",), "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 2 -bf 0 -b:v 4k"),
    # 25 fps, so that flushing at 350 ms is not rounded up to the distance of two frames
    "20k": (("smptebars=size=160x120:rate=25",), f"{X264} -b:v 10k -maxrate 10k -bufsize 10k"),
}
media.CLIPS.update({f"bench_{name}": clip for name, clip in CLIPS.items()})


def clip(name):
    """Path of an FLV file."""
    return media.clip(f"bench_{name}", SECONDS)


def tag_bytes(tag):
    head = struct.pack(">BBHBHBBH", tag.type, len(tag.body) >> 16, len(tag.body) & 0xFFFF,
                       tag.ts >> 16 & 0xFF, tag.ts & 0xFFFF, tag.ts >> 24, 0, 0)
    return head + tag.body + struct.pack(">I", 11 + len(tag.body))


def read_lap(address, stream, seconds):
    """Plays by HTTP-FLV. Returns head, describing tags, and one lap from key frame to key frame."""
    reader, init, lap = flv.FlvReader(), [], []
    with socket.create_connection(address, 10) as sock:
        sock.sendall(f"GET /{stream}.flv HTTP/1.0\r\nHost: bench\r\n\r\n".encode())
        body = b""
        while b"\r\n\r\n" not in body:
            body += sock.recv(65536)
        body = body.split(b"\r\n\r\n", 1)[1]
        while True:
            for tag in reader.feed(body):
                if tag.type == flv.SCRIPT or flv.is_sequence_header(tag.type, tag.body):
                    init += [tag] if not lap else []
                elif flv.is_sequence_end(tag.type, tag.body):
                    continue
                elif tag.type == flv.VIDEO and flv.is_key_frame(tag.body) and lap and (
                        tag.ts - lap[0].ts >= seconds * 1000 - 20):
                    return reader, init, lap
                elif lap or tag.type == flv.VIDEO and flv.is_key_frame(tag.body):
                    lap.append(tag)
            body = sock.recv(65536)
            if not body:
                raise AssertionError(f"{stream}: closed while it was recorded")


def as_played_path(name, folder):
    return os.path.join(folder, f"{name}-as-played.flv")


def record(name, folder, server):
    """Writes as_played_path(): the clip with the stamps that `load` puts in, as `server`, a running node,
    sends it. A floor program that loops it sends what Headwater's viewers get."""
    stream = f"live/record-{name}"
    with Load(["--publish", server.url("rtmp", stream), "--flv", clip(name), "--seconds", 0], folder):
        harness.wait_until(lambda: any(s["name"] == stream for s in server.streams()), 20, f"{stream} runs")
        reader, init, lap = read_lap(server.http, stream, SECONDS)
    flags = (4 if reader.has_audio else 0) | (1 if reader.has_video else 0)
    with open(as_played_path(name, folder), "wb") as file:
        file.write(struct.pack(">3sBBII", b"FLV", 1, flags, 9, 0))
        for tag in init + lap:
            file.write(tag_bytes(tag))
