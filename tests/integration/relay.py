"""One clip through the cluster and out at every place, packet by packet; and who pulls from whom."""

import os
import time

import harness
import media


def places(cluster, stream):
    """Where a stream can be played: name -> URL."""
    origin, edges = cluster.origins[0], cluster.edges
    return {"origin RTMP": origin.url(stream), "origin HTTP-FLV": origin.url(stream, "http"),
            "edge RTMP": edges[0].url(stream), "edge HTTP-FLV": edges[-1].url(stream, "http"),
            "302 HTTP-FLV": cluster.entry(stream)}


def run_relay(cluster, kind, seconds):
    """Publishes a clip of this kind once and plays it at every place until it ends. Returns
    {place: {track: (packets, shift_ms)} or a text that says what differs}."""
    clip, stream, folder = media.clip(kind, seconds), f"live/{kind}", cluster.folder
    publisher = media.publish(clip, cluster.origins[0].url(stream), folder, f"{kind}-publisher")
    players, outs, processes = {}, {}, [publisher]
    try:
        cluster.wait_route(stream)
        for where, url in places(cluster, stream).items():
            name = f"{kind}-{where.replace(' ', '-').lower()}"
            outs[where] = os.path.join(folder, f"{name}.md5")
            players[where] = media.play_md5(url, outs[where], folder, name)
            processes.append(players[where])
        for process in processes:
            harness.wait_until(lambda: not process.is_alive(), seconds + 20, f"{process.name} ends")
    finally:
        for process in processes:
            process.kill()
    published = media.file_md5(clip)
    return {where: _verdict(published, outs[where], players[where]) for where in outs}


def _verdict(published, out_path, player):
    try:
        return media.compare_md5(published, media.read_md5(out_path), 25)
    except AssertionError as error:
        return f"{error}\n{player.tail(10)}"


def upstream_of(node, stream):
    """Id of the node that it pulls the stream from; "" when it has none."""
    source = next((s["source"] for s in node.streams() if s["name"] == stream), None)
    return source["upstream"] if source else ""


class Pauses:
    """Longest time between two media frames of each viewer, from now on."""

    def __init__(self, *viewers):
        self.longest_s = {}
        for viewer in viewers:
            self._watch(viewer)

    def _watch(self, viewer):
        add, last = viewer.log.add, [time.monotonic()]
        self.longest_s[viewer] = 0.0

        def watched(kind, ts, body):
            before = viewer.log.n_frames
            add(kind, ts, body)
            if viewer.log.n_frames > before:
                now = time.monotonic()
                self.longest_s[viewer] = max(self.longest_s[viewer], now - last[0])
                last[0] = now

        viewer.log.add = watched
        if hasattr(viewer, "session"):
            viewer.session.on_media = watched

    @property
    def worst_s(self):
        return max(self.longest_s.values())
