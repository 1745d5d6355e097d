"""What must work while a fault lasts, or when it is healed. Each gets the run of a cell, and raises AssertionError."""

import harness
from cluster import encoders, live

NEW_STREAM_S = 15
FRAMES = 20
SPLIT_STREAM = 2  # published at the first origin; no precise viewer looks at it


def new_stream_works(run):
    """What comes now is published at a node that is well, found, and played."""
    stage = run.stage
    struck = {thing.node_id for thing in run.things}
    origins = [node.rtmp for node in stage.site.origins if node.id not in struck]
    edges = [node for node in stage.site.edges if node.id not in struck][:2]
    encoder = stage.live.do(encoders.Encoder, stage.live.flock, f"live/new{next(stage.numbers)}", origins, stage.clip)
    viewers = [stage.watch_stream(edge, encoder, i) for i, edge in enumerate(edges)]
    try:
        harness.wait_until(lambda: all(v.log.n_frames >= FRAMES for v in viewers), NEW_STREAM_S, lambda:
                           f"a new stream plays ({[(v.name, v.log.n_frames, v.error) for v in viewers]})")
    finally:
        stage.live.do(encoder.stop)
        stage.leave(viewers)


def entry_names_living_edges(run):
    """Who comes back through the entry point is sent to an edge that is well, and plays there."""
    stage, (struck,) = run.stage, run.things
    scheduler = stage.site.schedulers[-1]
    urls = {edge.url("live/s0", "http") for edge in stage.site.edges if edge.id != struck.node_id}

    def is_named():
        status, headers, _ = harness.http_request(scheduler.http, "/live/s0.flv")
        return status == 302 and headers["location"] in urls
    harness.wait_until(lambda: all(is_named() for _ in range(5)), NEW_STREAM_S, "302 to a living edge")


def schedulers_are_degraded(run):
    site = run.stage.site
    for scheduler in site.schedulers:
        harness.wait_until(lambda: harness.get_json(scheduler.http, "/readyz")["status"] == "degraded", NEW_STREAM_S,
                           f"{scheduler.name} says that it is degraded")


def redis_has_failed_over(run):
    site, (struck,) = run.stage.site, run.things
    harness.wait_until(lambda: site.servers.master() not in (None, struck.server), 20, "Sentinels name the replica")
    for scheduler in site.schedulers:
        harness.wait_until(lambda: harness.get_json(scheduler.http, "/readyz")["status"] == "ok", 10,
                           f"{scheduler.name} has the new master")


def redis_has_failed_over_there(run):
    """On the side of the majority; the other side still has the old master."""
    servers = run.stage.site.servers
    before = servers.sentinels[0].master_address()

    def have_failed_over():
        told = {sentinel.master_address() for sentinel in servers.sentinels[1:]}
        return len(told) == 1 and not told & {before, None}
    harness.wait_until(have_failed_over, 20, "the Sentinels of one side name another master")


def second_owner_appears(run):
    """On the side that has not got its owner, a stream is published again: two owners, each in its own epoch."""
    stage = run.stage
    origin = stage.site.origins[1]
    run.encoder = stage.live.do(encoders.Encoder, stage.live.flock, stage.encoders[SPLIT_STREAM].stream,
                                [origin.rtmp], stage.clip)
    run.log_mark = stage.site.origins[0].log_size()
    harness.wait_until(lambda: run.encoder.is_running, 20, "the other side takes the stream")
    if not stage.encoders[SPLIT_STREAM].is_running:
        raise AssertionError("the first owner has given up before the two have met")


def one_owner_is_left(run):
    """Once they meet, the higher epoch wins, and the other one closes its publisher and says why."""
    stage, name = run.stage, run.stage.encoders[SPLIT_STREAM].stream

    def owners():
        return [node.id for node in stage.site.origins for stream in stage.site.list(node, "/api/v1/streams?limit=1000")
                if stream["name"] == name and stream["live"] and stream["source"]["kind"] == "publish"]
    try:
        harness.wait_until(lambda: owners() == [stage.site.origins[1].id], 10, lambda: f"one owner is left ({owners()})")
        stage.site.origins[0].wait_log("stream has another owner", 5, run.log_mark)
    finally:
        stage.live.do(run.encoder.stop)
