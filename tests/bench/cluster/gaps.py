#!/usr/bin/python3
"""How long viewers see nothing, or hear nothing, when something of a cluster dies: the longest pause between two frames
of a track that any of them saw, less the track's own frame interval. One try breaks one thing, waits until everybody
plays again, and mends it. README.md says what each figure is."""

import argparse
import contextlib
import datetime
import json
import random
import time

import bench_cluster

import flv
import harness
import media
import swarm
from cluster import encoders, live

FRAME_S = {flv.VIDEO: 1 / 25, flv.AUDIO: 1024 / 22050}  # the tracks of the clip
GOP_MS = 1000
KEPT_FRAMES = 10  # from before the blow: some of each track
STREAM = "live/gap"
AFTER_S, FRAMES = 0.5, 75  # a try is over when everybody had so many frames, counted from so long after the blow
WAIT_S = 30


def even_clip():
    """Whole GOPs of a clip of 10 s: where it begins anew, neither track has a pause of its own."""
    clip = swarm.Clip(media.clip("small"))
    begin = next(tag.ts for tag in clip.frames if live.is_key_frame(tag.type, tag.body))
    clip.duration_ms = 9 * GOP_MS
    clip.frames = [tag for tag in clip.frames if begin <= tag.ts < begin + clip.duration_ms]
    return clip


class Figure:
    """A cluster on loopback, one stream, viewers of both protocols at every edge. Subclasses say what is broken."""

    target_ms = None
    cluster_args = {"origins": 2, "edges": 2}
    own_share = ""  # what is taken off the gap for the verdict

    def __init__(self, cluster, swarm_thread):
        self.cluster, self.live = cluster, swarm_thread
        self.clip = even_clip()
        self.viewers = []
        self.start_encoders()

    def start_encoders(self):
        self.encoder = self.publish([node.rtmp for node in self.cluster.origins])

    def publish(self, addresses, retry_s=0):
        return self.live.do(encoders.Encoder, self.live.flock, STREAM, addresses, self.clip, retry_s=retry_s)

    def is_ready(self):
        """Whether it may be broken again; everybody plays."""
        return self.encoder.is_running

    def strike(self):
        raise NotImplementedError

    def mend(self):
        """Puts back what is missing."""

    def encoder_faults(self):
        """Who publishes is not to notice."""
        return [] if self.encoder.n_connects == 1 else [f"the encoder connected {self.encoder.n_connects} times"]

    def own_s(self, struck_at):
        """What the encoder itself took, or had to wait for."""
        return 0.0

    # --- who owns what ---

    def owner(self):
        """The origin that has the stream; None while nobody knows."""
        for stream in harness.items(self.cluster.scheduler.http, "/api/v1/streams"):
            if stream["name"] == STREAM:
                return next((n for n in self.cluster.origins if n.id == stream["owner"]), None)
        return None

    def watch_all(self):
        """At every edge, whoever does not watch yet."""
        watched = {viewer.node for viewer in self.viewers}
        for edge in self.cluster.edges:
            if edge not in watched:
                self.watch(edge)

    def watch(self, edge):
        self.viewers += [live.watch(self.live, edge, STREAM, protocol) for protocol in ("rtmp", "http")]

    def forget(self, viewers):
        def leave():
            for viewer in viewers:
                viewer.close()
                self.live.flock.conns.remove(viewer)
        self.live.do(leave)
        self.viewers = [viewer for viewer in self.viewers if viewer not in viewers]


class Nothing(Figure):
    """nothing is broken: what this machine and the tool itself add"""

    def strike(self):
        pass


class OriginKill(Figure):
    """kill -9 of the origin; the encoder publishes at once at another one"""

    target_ms, own_share = 500, "the encoder connects and is accepted"

    def strike(self):
        self.dead = next(n for n in self.cluster.origins if n.rtmp == self.encoder.address)
        self.dead.kill()

    def encoder_faults(self):
        return []

    def own_s(self, struck_at):
        return self.encoder.accepted_at - self.encoder.lost_at

    def mend(self):
        self.cluster.restart_node(self.dead)


class Standby(Figure):
    """the encoder dies; another one stands by at the other origin"""

    target_ms, own_share = 300, "from the takeover to the standby's next key frame"
    cluster_args = {"origins": 2, "edges": 2, "node_set": {"publish.duplicate": "standby"}}

    def start_encoders(self):
        self.encoders = [self.publish([node.rtmp], encoders.RETRY_S) for node in self.cluster.origins]

    def watch_all(self):
        super().watch_all()
        for viewer in self.viewers:
            viewer.log.is_counted = False

    def is_ready(self):
        return all(encoder.is_running for encoder in self.encoders) and self.owner() and self.n_standbys() == 1

    def n_standbys(self):
        """As the scheduler knows it."""
        stream = harness.get_json(self.cluster.scheduler.http, f"/api/v1/streams/{STREAM}")
        return len(stream["standbys"])

    def encoder_faults(self):
        return []

    def choose(self):
        self.dead = self.owner()
        self.dying, self.other = sorted(self.encoders, key=lambda e: e.address != self.dead.rtmp)
        self.heir = next(n for n in self.cluster.origins if n.rtmp == self.other.address)
        self.log_begin = self.heir.log_size()

    def strike(self):
        self.choose()
        self.live.do(self.dying.session.close)  # it comes back, and stands by

    def own_s(self, struck_at):
        line = self.heir.wait_log(" msg=publish ", start=self.log_begin)
        wall = datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp()
        taken_at = wall - time.time() + time.monotonic()
        return next(at for at in self.other.key_times if at >= taken_at) - taken_at


class StandbyOrigin(Standby):
    """kill -9 of the origin; another encoder stands by at the other one"""

    def strike(self):
        self.choose()
        self.dead.kill()

    def mend(self):
        self.cluster.restart_node(self.dead)


class ForwardedOriginKill(Figure):
    """kill -9 of the origin that an edge forwards to; the encoder notices nothing"""

    target_ms = 500

    def start_encoders(self):
        self.encoder = self.publish([self.cluster.edges[0].rtmp])

    def is_ready(self):
        return super().is_ready() and self.owner()

    def strike(self):
        self.dead = self.owner()
        self.dead.kill()

    def mend(self):
        self.cluster.restart_node(self.dead)


class SchedulerKill(Figure):
    """kill -9 of the scheduler that all nodes use"""

    target_ms = 1000 * FRAME_S[flv.VIDEO]  # no more than a frame late: nothing is missing
    cluster_args = {"origins": 1, "edges": 2, "store": "redis", "schedulers": 2}

    def strike(self):
        self.cluster.scheduler.kill()

    def mend(self):
        self.cluster.start_scheduler(0, self.cluster.scheduler.http[1])


class RedisKill(SchedulerKill):
    """kill -9 of Redis, which comes back empty"""

    def strike(self):
        self.cluster.redis.process.kill()

    def mend(self):
        self.cluster.redis.start()


class ParentKill(Figure):
    """kill -9 of an edge that another edge pulls from"""

    target_ms = 300
    cluster_args = {"origins": 1, "edges": 3, "scheduler_set": {"max_children": "1"}}

    def watch_all(self):
        """One edge after the other: the scheduler is to know those that may be parents."""
        for edge in self.cluster.edges:
            if edge in {viewer.node for viewer in self.viewers}:
                continue
            self.watch(edge)
            harness.wait_until(lambda: edge.id in self.carriers(), WAIT_S, f"{edge.id} carries")

    def carriers(self):
        status, _, body = harness.http_request(self.cluster.scheduler.http, f"/api/v1/streams/{STREAM}")
        return {carrier["node"] for carrier in json.loads(body)["carriers"]} if status == 200 else set()

    def parents(self):
        return [edge for edge in self.cluster.edges
                if any(stream["relays"] for stream in edge.streams() if stream["name"] == STREAM)]

    def is_ready(self):
        return super().is_ready() and len(self.parents()) >= 1

    def strike(self):
        self.dead = random.choice(self.parents())
        self.forget([viewer for viewer in self.viewers if viewer.node is self.dead])
        self.struck_at = time.monotonic()  # they are not among those who suffer
        self.dead.kill()

    def mend(self):
        self.cluster.restart_node(self.dead, same_ports=False)


FIGURES = {"nothing": Nothing, "origin": OriginKill, "standby": Standby, "standby-origin": StandbyOrigin,
           "forwarded": ForwardedOriginKill, "scheduler": SchedulerKill, "redis": RedisKill, "parent": ParentKill}


def get_ready(figure):
    """Everybody plays, and the traces begin anew."""
    figure.cluster.wait_settled()
    figure.watch_all()
    seen = {viewer: viewer.log.n_frames for viewer in figure.viewers}
    harness.wait_until(lambda: all(v.log.n_frames - n >= 25 for v, n in seen.items()), WAIT_S, lambda:
                       "all play (%s)" % {v.name: (v.log.n_frames - n, v.error) for v, n in seen.items()})
    harness.wait_until(figure.is_ready, WAIT_S, "ready to be broken")
    time.sleep(random.uniform(0, GOP_MS / 1000))  # at any moment of a GOP

    def begin():
        for viewer in figure.viewers:
            del viewer.log.frames[:-KEPT_FRAMES], viewer.log.problems[:]
            viewer.log.n_jumped = 0
    figure.live.do(begin)


def one_try(figure):
    get_ready(figure)
    figure.struck_at = time.monotonic()
    figure.strike()
    since = figure.struck_at + AFTER_S
    harness.wait_until(lambda: all(v.log.n_since(since) >= FRAMES for v in figure.viewers), WAIT_S, lambda:
                       "everybody plays again (%s)" % {v.name: (v.log.n_since(since), v.error) for v in figure.viewers})
    end = time.monotonic()
    result = {"gap_s": max(v.log.longest_pause_s(figure.struck_at, end, track) - interval_s
                           for v in figure.viewers for track, interval_s in FRAME_S.items()),
              "own_s": figure.own_s(figure.struck_at),
              "jumps": sum(v.log.n_jumped for v in figure.viewers),
              "faults": [f"{v.name}: {p}" for v in figure.viewers for p in v.log.problems]
              + [f"{v.name}: closed ({v.error})" for v in figure.viewers if v.closed] + figure.encoder_faults()}
    figure.mend()
    return result


def measure(kind, tries):
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(harness.Cluster(**kind.cluster_args))
        figure = kind(cluster, stack.enter_context(live.Live()))
        return [one_try(figure) for _ in range(tries)]


def row(name, kind, results):
    """A line of the table, and whether it is as it must be."""
    gaps = [result["gap_s"] for result in results]
    rests = [result["gap_s"] - result["own_s"] for result in results]
    gap, own, rest = map(bench_cluster.spread_ms, (gaps, [result["own_s"] for result in results], rests))
    n_faults = sum(len(result["faults"]) for result in results)
    word = bench_cluster.verdict(rest["p99"], kind.target_ms)
    cells = (name, kind.__doc__, len(results), f"{gap['p50']:.0f}", f"{gap['p99']:.0f}", f"{gap['max']:.0f}",
             f"{own['p50']:.0f}, {own['p99']:.0f}: {kind.own_share}" if kind.own_share else "",
             f"{rest['p50']:.0f}, {rest['p99']:.0f}",
             "" if kind.target_ms is None else f"p99 <= {kind.target_ms:.0f}", n_faults, word)
    return cells, {"gap_ms": gap, "own_ms": own, "rest_ms": rest, "target_ms": kind.target_ms, "verdict": word,
                   "tries": results}, word != "MISSED" and not n_faults


HEAD = ("figure", "what", "tries", "gap p50 ms", "p99", "longest", "of it p50, p99 ms", "rest p50, p99 ms",
        "rest must be", "faults", "verdict")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figure", nargs="*", metavar="figure", help=f"of {', '.join(FIGURES)}; all when none is named")
    parser.add_argument("--tries", type=int, default=50)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    if set(args.figure) - set(FIGURES):
        parser.error(f"there are {', '.join(FIGURES)}")
    bench_cluster.begin()
    rows, found, good = [], {}, True
    for name in args.figure or FIGURES:
        cells, found[name], ok = row(name, FIGURES[name], measure(FIGURES[name], args.tries))
        rows.append(cells)
        good = good and ok
        print(f"{name}: {cells[-1]}", flush=True)
        for result in found[name]["tries"]:
            for fault in result["faults"]:
                print(f"- {fault}", flush=True)
    print()
    bench_cluster.show(HEAD, rows)
    bench_cluster.finish(found, args.json, good)


if __name__ == "__main__":
    main()
