"""FLV (Adobe FLV 10.1, annex E): an incremental tag reader, and what tests ask about a tag."""

import struct
from collections import namedtuple

AUDIO, VIDEO, SCRIPT = 8, 9, 18
Tag = namedtuple("Tag", "type ts body")


def is_sequence_header(kind, body):
    """AVC, HEVC, AAC in the legacy form and every Enhanced RTMP sequence start."""
    if kind == VIDEO:
        if body[0] & 0x80:
            return body[0] & 0x0F == 0
        return body[0] & 0x0F in (7, 12) and body[1] == 0
    if kind == AUDIO:
        if body[0] >> 4 == 9:
            return body[0] & 0x0F == 0
        return body[0] >> 4 == 10 and body[1] == 0
    return False


def is_sequence_end(kind, body):
    """AVC end of sequence, as ffmpeg writes at the end of a file."""
    return kind == VIDEO and not body[0] & 0x80 and body[0] & 0x0F in (7, 12) and body[1] == 2


def is_key_frame(body):
    return (body[0] >> 4) & 7 == 1


class FlvReader:
    """feed() returns the tags that became whole. Raises ValueError on bytes that are not FLV."""

    def __init__(self):
        self.buf = bytearray()
        self.has_audio = self.has_video = None  # of the file header, once it was read

    def feed(self, data):
        self.buf += data
        buf, pos, tags = self.buf, 0, []
        if self.has_audio is None:
            if len(buf) < 13:
                return tags
            if buf[:4] != b"FLV\x01" or buf[5:13] != b"\0\0\0\x09\0\0\0\0":
                raise ValueError(f"not an FLV header: {bytes(buf[:13])!r}")
            self.has_audio, self.has_video = bool(buf[4] & 4), bool(buf[4] & 1)
            pos = 13
        end = len(buf)
        while end - pos >= 11:
            size = buf[pos + 1] << 16 | buf[pos + 2] << 8 | buf[pos + 3]
            if end - pos < 11 + size + 4:
                break
            ts = buf[pos + 7] << 24 | buf[pos + 4] << 16 | buf[pos + 5] << 8 | buf[pos + 6]
            body = bytes(buf[pos + 11:pos + 11 + size])
            previous = struct.unpack_from(">I", buf, pos + 11 + size)[0]
            if previous != size + 11 or buf[pos] not in (AUDIO, VIDEO, SCRIPT):
                raise ValueError(f"tag type {buf[pos]}, {size} bytes, PreviousTagSize {previous}")
            tags.append(Tag(buf[pos], ts, body))
            pos += size + 15
        del buf[:pos]
        return tags


def read_file(path):
    with open(path, "rb") as file:
        return FlvReader().feed(file.read())
