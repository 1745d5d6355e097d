"""MPEG-2 transport streams (ISO 13818-1) looked at packet by packet: an independent reader that tells what a
receiver would stumble over."""

import struct
from collections import namedtuple

PACKET = 188
CLOCK, SYSTEM_CLOCK = 90_000, 27_000_000
WRAP = 1 << 33
NULL_PID, PAT_PID = 0x1FFF, 0

# dts and pts in 90 kHz, at: number of its first packet
Pes = namedtuple("Pes", "pid stream_id pts dts at payload")
# in 27 MHz; dts: of the PES packet that begins in the same TS packet, or None
Pcr = namedtuple("Pcr", "pid value at dts jump")


def crc32(data):
    """Annex A; 0 over a section with its CRC."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)
        crc &= 0xFFFFFFFF
    return crc


def unwrapped(value, near, wrap=WRAP):
    """The one of value + n * wrap that is nearest to near."""
    return value + round((near - value) / wrap) * wrap


class TsReader:
    """feed() whole packets; finish(); then problems is empty or says what is wrong."""

    def __init__(self):
        self.n_packets = 0
        self.problems = []
        self.pes, self.pcrs = [], []
        self.pats, self.pmts = [], []  # numbers of their packets
        self.streams, self.pcr_pid, self.pmt_pid, self.versions = {}, None, None, []
        self._continuity, self._open, self._last = {}, {}, {}

    def feed(self, data):
        if len(data) % PACKET:
            self._problem(f"{len(data) % PACKET} bytes behind the last packet")
        for at in range(0, len(data) - PACKET + 1, PACKET):
            self._packet(data[at:at + PACKET])
            self.n_packets += 1

    def finish(self):
        for pid in list(self._open):
            self._close(pid)
        return self

    def _problem(self, text):
        if len(self.problems) < 20:
            self.problems.append(f"packet {self.n_packets}: {text}")

    def _packet(self, packet):
        sync, pid, flags = packet[0], struct.unpack_from(">H", packet, 1)[0], packet[3]
        starts, error, pid = bool(pid & 0x4000), pid & 0x8000, pid & 0x1FFF
        if sync != 0x47 or error or flags & 0xC0 or not flags & 0x30:
            return self._problem(f"head {packet[:4].hex()}")
        at, has_payload, jump, pcr = 4, bool(flags & 0x10), False, None
        if flags & 0x20:
            at, jump, pcr = self._adaptation(packet, has_payload)
        if pid != NULL_PID:
            self._count(pid, flags & 15, has_payload, jump)
        payload = packet[at:] if has_payload else b""
        dts = self._payload(pid, starts, payload) if has_payload else None
        if pcr is not None:
            self._note_pcr(pid, pcr, dts, jump)

    def _adaptation(self, packet, has_payload):
        """Where the payload begins, discontinuity_indicator, PCR or None."""
        size = packet[4]
        if size > (182 if has_payload else 183):
            self._problem(f"adaptation field of {size} bytes")
            return PACKET, False, None
        if not size:
            return 5, False, None
        pcr = None
        if packet[5] & 0x10:
            high, low = struct.unpack_from(">IH", packet, 6)
            pcr = (high << 1 | low >> 15) * 300 + (low & 0x1FF)
        return 5 + size, bool(packet[5] & 0x80), pcr

    def _count(self, pid, counter, has_payload, jump):
        last = self._continuity.get(pid)
        self._continuity[pid] = counter
        if last is None or jump:
            return
        due = last + has_payload & 15
        if counter != due:
            self._problem(f"PID {pid:#x}: continuity counter {counter}, {due} is due")

    def _note_pcr(self, pid, value, dts, jump):
        near = self.pcrs[-1].value if self.pcrs else value
        value = unwrapped(value, near, WRAP * 300)
        if pid != self.pcr_pid:
            self._problem(f"PCR on PID {pid:#x}, the PMT says {self.pcr_pid}")
        self.pcrs.append(Pcr(pid, value, self.n_packets, dts, jump))

    def _payload(self, pid, starts, payload):
        """The dts of a PES packet that begins here, or None."""
        if pid == PAT_PID or pid == self.pmt_pid:
            self._section(pid, starts, payload)
        elif pid in self.streams:
            if starts:
                self._close(pid)
                return self._begin(pid, payload)
            if pid in self._open:
                self._open[pid][1].append(payload)
        elif pid != NULL_PID:
            self._problem(f"PID {pid:#x} is in no PMT")
        return None

    def _section(self, pid, starts, payload):
        size = struct.unpack_from(">H", payload, 2)[0] & 0xFFF
        section = payload[1:4 + size]
        if not starts or payload[0] or len(section) != 3 + size or crc32(section):
            return self._problem(f"bad table on PID {pid:#x}: {payload[:16].hex()}")
        if pid == PAT_PID:
            self.pats.append(self.n_packets)
            self.pmt_pid = struct.unpack_from(">H", section, 10)[0] & 0x1FFF
            return
        self.pmts.append(self.n_packets)
        version = section[5] >> 1 & 31
        if version not in self.versions[-1:]:
            self.versions.append(version)
        self.pcr_pid = struct.unpack_from(">H", section, 8)[0] & 0x1FFF
        at, self.streams = 12 + (struct.unpack_from(">H", section, 10)[0] & 0xFFF), {}
        while at < len(section) - 4:
            kind, es_pid, info = struct.unpack_from(">BHH", section, at)
            self.streams[es_pid & 0x1FFF] = kind
            at += 5 + (info & 0xFFF)

    def _begin(self, pid, payload):
        if payload[:3] != b"\0\0\1" or payload[6] & 0xC0 != 0x80 or not payload[7] & 0x80:
            self._problem(f"PID {pid:#x}: PES head {payload[:10].hex()}")
            return None
        pts = self._stamp(pid, payload[9:14], 3 if payload[7] & 0x40 else 2)
        dts = self._stamp(pid, payload[14:19], 1) if payload[7] & 0x40 else pts
        near = self._last.get(pid, dts)
        dts = unwrapped(dts, near)
        self._last[pid] = dts
        length = struct.unpack_from(">H", payload, 4)[0]
        head = 9 + payload[8]
        pes = Pes(pid, payload[3], unwrapped(pts, dts), dts, self.n_packets, b"")
        self._open[pid] = (pes, [payload[head:]], length and length - (head - 6))
        return dts

    def _stamp(self, pid, field, prefix):
        """Table 2-21: four bits, then 33 with three markers between them."""
        a, b, c = field[0], *struct.unpack(">HH", field[1:])
        if a >> 4 != prefix or not a & b & c & 1:
            self._problem(f"PID {pid:#x}: time stamp {field.hex()}")
        return (a >> 1 & 7) << 30 | b >> 1 << 15 | c >> 1

    def _close(self, pid):
        if pid not in self._open:
            return
        pes, pieces, length = self._open.pop(pid)
        payload = b"".join(pieces)
        if length and length != len(payload):
            self._problem(f"PID {pid:#x}: PES packet of {len(payload)} bytes says {length}")
        self.pes.append(pes._replace(payload=payload))

    # --- what the standards bound ---

    def pids(self, kinds):
        return [pid for pid, kind in self.streams.items() if kind in kinds]

    def packets(self, pid):
        """[(dts, pts)] in ticks of 90 kHz."""
        return [(p.dts, p.pts) for p in self.pes if p.pid == pid]

    def pcr_steps_ms(self):
        return [(b.value - a.value) * 1000 / SYSTEM_CLOCK for a, b in zip(self.pcrs, self.pcrs[1:])]

    def leads_ms(self):
        """How far the dts of each PES packet is ahead of the PCR in front of it."""
        return [unwrapped(p.dts * 300 - p.value, 0, WRAP * 300) * 1000 / SYSTEM_CLOCK
                for p in self.pcrs if p.dts is not None]

    def pcr_jitter_ms(self):
        """How far the lead strays: 0 for a clock that runs evenly with the frames that it is for."""
        leads = self.leads_ms()
        return max(leads) - min(leads)

    def psi_steps_ms(self):
        """Between tables, by the clock: the PCR in force when each came, the first one being at its own."""
        steps = []
        for found in (self.pats, self.pmts):
            times = [self._clock_at(at) for at in found]
            steps += [(b - a) * 1000 / SYSTEM_CLOCK for a, b in zip(times, times[1:])]
        return steps

    def _clock_at(self, packet):
        """Tables come in front of the PCR of their frame."""
        return next((p.value for p in self.pcrs if p.at >= packet), self.pcrs[-1].value)
