"""HLS viewers by the hundred in one process: each polls its playlist as RFC 8216 (6.3.4) has it, on a connection
that stays, and takes every segment that is new."""

import heapq
import selectors
import socket
import time
import urllib.parse

START_BEHIND = 3  # RFC 8216, 6.3.3: not nearer to the end than three target durations
READ_BYTES = 1 << 18


class Viewer:
    """One request after the other: the multivariant playlist, then media playlists and segments."""

    def __init__(self, all_, path):
        self.all, self.path, self.media_path = all_, path, None
        self.sock = socket.create_connection(all_.address, 10)
        self.sock.setblocking(False)
        self.head, self.left, self.text = bytearray(), None, None
        self.wanted, self.next_msn, self.target_s = [], None, 2.0
        self.new_at = None  # when the last new segment was seen
        self.segment_at = 0
        all_.selector.register(self.sock, selectors.EVENT_READ, self)
        self.ask(path)

    def ask(self, path, keep=True):
        """keep: the body is looked at, not only counted."""
        self.text = bytearray() if keep else None
        request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\nUser-Agent: headwater-bench\r\n\r\n".encode()
        self.asked_at = time.monotonic()
        if self.sock.send(request) != len(request):
            raise OSError("a request was not taken whole")
        self.all.n_requests += 1

    def on_readable(self):
        data = self.sock.recv(READ_BYTES)
        if not data:
            return self.fail("closed")
        self.all.n_bytes += len(data)
        if self.left is None:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return None
            data = bytes(self.head[end + 4:])
            if not self.take_head(bytes(self.head[:end])):
                return None
        self.left -= len(data)
        if self.text is not None:
            self.text += data
        return self.answered() if self.left <= 0 else None

    def take_head(self, head):
        lines = head.decode("latin-1").lower().split("\r\n")
        sizes = [line for line in lines if line.startswith("content-length:")]
        if lines[0].split(" ")[1] != "200" or not sizes:
            return self.fail(lines[0])
        self.head.clear()
        self.left = int(sizes[0].split(":")[1])
        return True

    def fail(self, why):
        self.all.faults.append(f"HLS viewer: {why}")
        self.all.selector.unregister(self.sock)
        self.sock.close()

    def answered(self):
        self.left = None
        if self.text is None:
            self.all.n_segments += 1
            self.all.fetch_s.append(time.monotonic() - self.asked_at)
        elif self.media_path is None:
            text = self.text.decode()
            uri = next(line for line in text.splitlines() if line and not line.startswith("#"))
            self.media_path = urllib.parse.urljoin(self.path, uri)
            return self.ask(self.media_path)
        else:
            self.take_playlist(self.text.decode().splitlines())
        if self.wanted:
            return self.ask(self.wanted.pop(0), keep=False)
        return self.all.schedule(self.poll_at, self)

    def take_playlist(self, lines):
        self.all.n_playlists += 1
        number = {tag: line.split(":")[1] for line in lines
                  for tag in ("#EXT-X-MEDIA-SEQUENCE", "#EXT-X-TARGETDURATION") if line.startswith(tag + ":")}
        names = [line for line in lines if line and not line.startswith("#")]
        first, self.target_s = int(number["#EXT-X-MEDIA-SEQUENCE"]), float(number["#EXT-X-TARGETDURATION"])
        begin = first + max(0, len(names) - START_BEHIND) if self.next_msn is None else self.next_msn
        if begin < first:
            self.all.faults.append(f"HLS viewer: segments {begin} to {first - 1} were gone")
            begin = first
        self.wanted = [urllib.parse.urljoin(self.media_path, name) for name in names[begin - first:]]
        self.next_msn = max(begin, first + len(names))
        now = time.monotonic()
        self.poll_at = self.asked_at + self.target_s * (1 if self.wanted else 0.5)
        if self.wanted:
            self.new_at = now
        elif self.new_at and now - self.new_at > 2.5 * self.target_s:
            self.all.faults.append(f"HLS viewer: nothing new for {now - self.new_at:.1f} s")
            self.new_at = now


class HlsViewers:
    """Context manager. run() drives all of them; the counts go on until reset()."""

    def __init__(self, address, stream, container, n_viewers, ramp_s=2.0):
        self.address, self.path = address, f"/{stream}.m3u8?container={container}"
        self.selector, self.timers, self.n_timers = selectors.DefaultSelector(), [], 0
        self.viewers, self.faults = [], []
        begin = time.monotonic()
        self.joins = [begin + ramp_s * i / n_viewers for i in range(n_viewers)]
        self.reset()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for viewer in self.viewers:
            viewer.sock.close()
        self.selector.close()

    def reset(self):
        self.n_requests = self.n_playlists = self.n_segments = self.n_bytes = 0
        self.fetch_s, self.cpu_before, self.began = [], time.process_time(), time.monotonic()

    def schedule(self, at, viewer):
        self.n_timers += 1
        heapq.heappush(self.timers, (at, self.n_timers, viewer))

    def run(self, seconds):
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            while self.joins and self.joins[0] <= now:
                self.joins.pop(0)
                self.viewers.append(Viewer(self, self.path))
            while self.timers and self.timers[0][0] <= now:
                viewer = heapq.heappop(self.timers)[2]
                viewer.ask(viewer.media_path)
            due = min([end, *self.joins[:1], *(t[0] for t in self.timers[:1])])
            for key, _ in self.selector.select(max(0, due - now)):
                key.data.on_readable()

    def figures(self):
        took_s = time.monotonic() - self.began
        return {"viewers": len(self.viewers), "requests": self.n_requests / took_s,
                "segments": self.n_segments / took_s / max(1, len(self.viewers)),
                "kbps": self.n_bytes * 8 / 1000 / took_s / max(1, len(self.viewers)),
                "load_cpu": 100 * (time.process_time() - self.cpu_before) / took_s}
