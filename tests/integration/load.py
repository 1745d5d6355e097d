"""Many streams at once: publishers at the origins, one viewer each at a random edge."""

import random
import time

N_STREAMS = 200


def run_streams(cluster, flock, clip, n_streams=N_STREAMS, seconds=60, seed=1):
    """Publishes n_streams spread over the origins and plays each at a random edge, half by RTMP and half
    by HTTP-FLV, for so long. Returns a dict of figures; "faults" lists all that is wrong."""
    rng = random.Random(seed)
    publishers, viewers = [], []
    for i in range(n_streams):
        origin = cluster.origins[i % len(cluster.origins)]
        publishers.append(flock.publish(origin.rtmp, f"live/load{i}", clip))
    flock.until(lambda: all(p.is_running for p in publishers), 30, "all publishers are accepted")
    for i in range(n_streams):
        edge = rng.choice(cluster.edges)
        play = flock.play_rtmp if i % 2 else flock.play_flv
        viewers.append(play(edge.rtmp if i % 2 else edge.http, f"live/load{i}"))
    flock.until(lambda: all(v.log.n_frames for v in viewers), 60, "all viewers play")
    for viewer in viewers:
        viewer.log.delays_us = []
    cpu_before, begin = [n.cpu_s() for n in cluster.nodes], time.monotonic()
    flock.run(seconds)
    took_s = time.monotonic() - begin
    cpu = {n.id: round((n.cpu_s() - b) / took_s, 3) for n, b in zip(cluster.nodes, cpu_before)}
    for publisher in publishers:
        publisher.ended = True  # no more frames; what was sent must arrive
    flock.until(lambda: all(_has_all(v, p) for v, p in zip(viewers, publishers)), 10,
                "the last frames arrive", fail=False)
    return _figures(publishers, viewers, cpu, took_s)


def _has_all(viewer, publisher):
    return all(viewer.log.counter_of.get(track, -1) == n - 1 for track, n in publisher.counters.items())


def _figures(publishers, viewers, cpu, took_s):
    faults = []
    for publisher, viewer in zip(publishers, viewers):
        faults += [f"{viewer.stream}: {problem}" for problem in viewer.log.problems]
        if viewer.closed or publisher.closed:
            faults.append(f"{viewer.stream}: closed ({viewer.error or publisher.error})")
        elif not _has_all(viewer, publisher):
            faults.append(f"{viewer.stream}: got {viewer.log.counter_of}, sent {publisher.counters}")
    delays = sorted(d for v in viewers for d in v.log.delays_us)
    return {
        "streams": len(publishers), "seconds": round(took_s, 1), "cpu_cores": cpu,
        "frames_published": sum(p.n_sent for p in publishers),
        "frames_played": sum(v.log.n_frames for v in viewers),
        "delay_ms_p50": round(delays[len(delays) // 2] / 1000, 1),
        "delay_ms_p99": round(delays[len(delays) * 99 // 100] / 1000, 1),
        "faults": faults}
