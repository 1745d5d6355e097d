"""AMF0 (Adobe AMF 0, 2007) as far as tests need it: encode and decode of values."""

import struct

UNDEFINED = object()


class EcmaArray(dict):
    """Encodes with the ECMA array marker (2.10) instead of the object marker."""


def encode(*values):
    return b"".join(_encode_one(value) for value in values)


def _encode_one(value):
    if value is None:
        return b"\x05"
    if value is UNDEFINED:
        return b"\x06"
    if isinstance(value, bool):
        return b"\x01" + bytes([value])
    if isinstance(value, (int, float)):
        return b"\x00" + struct.pack(">d", value)
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogateescape")
        if len(raw) > 0xFFFF:
            return b"\x0c" + struct.pack(">I", len(raw)) + raw
        return b"\x02" + struct.pack(">H", len(raw)) + raw
    if isinstance(value, dict):
        head = b"\x08" + struct.pack(">I", len(value)) if isinstance(value, EcmaArray) else b"\x03"
        return head + b"".join(_key(k) + _encode_one(v) for k, v in value.items()) + b"\x00\x00\x09"
    if isinstance(value, list):
        return b"\x0a" + struct.pack(">I", len(value)) + encode(*value)
    raise TypeError(f"no AMF0 form for {value!r}")


def _key(name):
    raw = name.encode()
    return struct.pack(">H", len(raw)) + raw


def decode(data):
    """Returns the list of values in data; ValueError when it is broken."""
    values, pos = [], 0
    while pos < len(data):
        value, pos = _decode_one(data, pos)
        values.append(value)
    return values


def _decode_one(data, pos):
    marker = data[pos]
    pos += 1
    if marker == 0x00:
        return struct.unpack_from(">d", data, pos)[0], pos + 8
    if marker == 0x01:
        return data[pos] != 0, pos + 1
    if marker in (0x02, 0x0C):
        size_format, size_bytes = (">H", 2) if marker == 0x02 else (">I", 4)
        size = struct.unpack_from(size_format, data, pos)[0]
        pos += size_bytes
        return bytes(data[pos:pos + size]).decode("utf-8", "surrogateescape"), pos + size
    if marker in (0x03, 0x08):
        return _decode_members(data, pos + (4 if marker == 0x08 else 0))
    if marker in (0x05, 0x06):
        return (None if marker == 0x05 else UNDEFINED), pos
    if marker == 0x0A:
        count = struct.unpack_from(">I", data, pos)[0]
        pos += 4
        items = []
        for _ in range(count):
            item, pos = _decode_one(data, pos)
            items.append(item)
        return items, pos
    if marker == 0x0B:
        return struct.unpack_from(">d", data, pos)[0], pos + 10
    raise ValueError(f"AMF0 marker {marker:#x}")


def _decode_members(data, pos):
    members = {}
    while True:
        size = struct.unpack_from(">H", data, pos)[0]
        pos += 2
        name = bytes(data[pos:pos + size]).decode("utf-8", "replace")
        pos += size
        if not size and data[pos] == 0x09:
            return members, pos + 1
        members[name], pos = _decode_one(data, pos)
