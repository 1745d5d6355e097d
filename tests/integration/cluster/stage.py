"""A cluster under load: encoders that publish at origins and at edges, hundreds of viewers, and a few that look
at every frame."""

import contextlib
import itertools

import harness
import media
import swarm
from cluster import encoders, live, site, truth
from test_load_tool import Load

N_STREAMS, N_VIEWERS = 50, 500
JOIN_S, SETTLE_S = 30, 20
PLAYING_FRAMES = 25


class Audience:
    """Many viewers of one edge, of both protocols, over all streams alike. headwater-tool counts what they see."""

    def __init__(self, edge, n_viewers, n_streams):
        self.edge_id, args, protocols = edge.id, [], ("rtmp", "http")
        while n_viewers:
            n = min(n_viewers, n_streams)  # of a group, player i plays stream i
            args += ["--play", edge.url("live/s{i}", protocols[0]), "--players", str(n), "--ramp", "1"]
            n_viewers, protocols = n_viewers - n, protocols[::-1]
        self.load = Load(*args, "--warmup", "0", "--seconds", "0", "--quiet")

    def wait_joined(self):
        self.load.wait_line("window begin")

    def finish(self):
        """All leave. Returns texts on what went wrong for them."""
        _, _, err = self.load.finish()
        if not self.load.result:
            return [f"viewers at {self.edge_id}: no report: {err[-500:]}"]
        found = []
        for group in self.load.result["players"]:
            wrong = {key: group[key] for key in ("lost", "refused", "backward") if group[key]}
            if group["playing"] != group["asked"]:
                wrong["playing"] = f"{group['playing']} of {group['asked']}"
            if wrong:
                found.append(f"viewers at {self.edge_id} of {group['url']}: {wrong}")
        return found + ([err.strip()[-500:]] if found else [])


class Stage:
    """Context manager. Streams live/s0, s1, ...: the first half is published at origins, the rest at the first two
    edges, and the last one of each half by ffmpeg on a host of its own."""

    def __init__(self, net, n_streams=N_STREAMS, n_viewers=N_VIEWERS, node_set=None):
        self.net, self.n_streams, self.n_viewers = net, n_streams, n_viewers
        # Viewers are to outlast every fault, and those of a node that leaves are not waited for long. Two GOPs: who is
        # in the middle of one finds the rest of it at a new place, also when the next one has begun meanwhile.
        self.node_set = {"publisher_grace_ms": 20000, "drain_timeout_s": 2, "gop_cache.count": 2, **(node_set or {})}
        self.encoders, self.viewers, self.audiences = [], [], []
        self.numbers = itertools.count(1)  # for names of streams that come and go
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with self.stack:
            self.site = self.stack.enter_context(site.Site(self.net, node_set=self.node_set))
            self.live = self.stack.enter_context(live.Live())
            self.stack.callback(self.end_encoders)
            self.watch = self.stack.enter_context(truth.Watch(self.site))
            self.clip = swarm.Clip(media.clip("small"))
            self._start_encoders()
            self.stack.callback(self.clear_house)
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *args):
        self.stack.__exit__(*args)

    # --- encoders ---

    def _start_encoders(self):
        n_direct = self.n_streams // 2
        for i in range(self.n_streams):
            is_direct = i < n_direct
            nodes = self.site.origins if is_direct else self.site.edges[:2]
            addresses = [node.rtmp for node in nodes]
            addresses = addresses[i % 2:] + addresses[:i % 2]
            if i in (n_direct - 1, self.n_streams - 1):
                encoder = self._start_ffmpeg(f"live/s{i}", addresses, "encoder-1" if is_direct else "encoder-2")
            else:
                encoder = self.live.do(encoders.Encoder, self.live.flock, f"live/s{i}", addresses, self.clip)
            encoder.is_direct = is_direct
            self.encoders.append(encoder)

    def _start_ffmpeg(self, stream, addresses, host_name):
        return self.live.do(encoders.Ffmpeg, self.live.flock, self.net.host(host_name), stream, addresses,
                            media.clip("h264_aac"), self.site.folder)

    def end_encoders(self):
        for encoder in self.encoders:
            self.live.do(encoder.stop)

    def ffmpegs(self):
        return [encoder for encoder in self.encoders if isinstance(encoder, encoders.Ffmpeg)]

    def watched(self):
        """The encoders whose streams precise viewers look at: of each kind, one at each of its two homes."""
        half = self.n_streams // 2
        return [self.encoders[i] for i in (0, 1, half, half + 1, half - 1, self.n_streams - 1)]

    # --- viewers ---

    def open_house(self):
        """All viewers join. The last edge comes late, so that it finds the origins' places taken and is chained under
        the others."""
        edges = self.site.edges
        for group in (edges[:-1], edges[-1:]):
            joining = [Audience(edge, len(range(edges.index(edge), self.n_viewers, len(edges))), self.n_streams)
                       for edge in group]
            self.audiences += joining
            for audience in joining:
                audience.wait_joined()
            self.viewers += [self.watch_stream(edge, encoder, i) for edge in group
                             for i, encoder in enumerate(self.watched())]
        harness.wait_until(lambda: all(v.log.n_frames >= PLAYING_FRAMES for v in self.viewers), JOIN_S,
                           lambda: f"all play ({[v.name for v in self.viewers if v.log.n_frames < PLAYING_FRAMES]})")

    def watch_stream(self, edge, encoder, number):
        viewer = live.watch(self.live, edge, encoder.stream, ("rtmp", "http")[number % 2])
        viewer.encoder = encoder
        return viewer

    def leave(self, viewers):
        def close():
            for viewer in viewers:
                viewer.close()
                self.live.flock.conns.remove(viewer)
        self.live.do(close)

    def clear_house(self):
        """All viewers leave. Returns {edge id: texts on what went wrong for its audience}."""
        self.leave(self.viewers)
        found = {audience.edge_id: audience.finish() for audience in self.audiences}
        self.viewers, self.audiences = [], []
        return found

    # --- between two faults ---

    def prepare(self):
        """Everything is as at the start: all are well, encoders are at home, edges carry nothing but what is published
        at them; then the viewers join."""
        harness.wait_until(self.site.servers.is_whole, SETTLE_S + 10, "Redis is whole again")
        self.site.wait_settled()
        harness.wait_until(self.site.is_at_home, SETTLE_S, "nodes are back at their first scheduler")
        for encoder in self.encoders:
            self.live.do(encoder.go_home)
        harness.wait_until(lambda: all(encoder.is_running for encoder in self.encoders), SETTLE_S, lambda:
                           f"encoders publish ({[e.stream for e in self.encoders if not e.is_running]})")
        harness.wait_until(lambda: not self.n_pulls(), SETTLE_S, "edges are idle")
        self.open_house()
        truth.wait_converged(self.site, SETTLE_S)

    def n_pulls(self):
        return sum(1 for edge in self.site.edges for stream in self.site.list(edge, "/api/v1/streams?limit=1000")
                   if stream["live"] and stream["source"]["kind"] == "pull")

    # --- whom to strike ---

    def busiest_origin(self):
        """The one that most streams are forwarded to."""
        forwarded = {encoder.stream for encoder in self.encoders if not encoder.is_direct}

        def n_forwarded(origin):
            return sum(1 for stream in self.site.list(origin, "/api/v1/streams?limit=1000")
                       if stream["name"] in forwarded and truth.is_published(stream))
        return max(self.site.origins, key=n_forwarded)

    def n_children(self, edge):
        """Relays that hang on its pulls."""
        return sum(stream["relays"] for stream in self.site.list(edge, "/api/v1/streams?limit=1000")
                   if stream["live"] and stream["source"]["kind"] == "pull")

    def parent_edge(self):
        parent = max(self.site.edges, key=self.n_children)
        if not self.n_children(parent):
            raise AssertionError("no edge is chained under another")
        return parent

    def leaf_edge(self):
        return min(self.site.edges, key=self.n_children)
