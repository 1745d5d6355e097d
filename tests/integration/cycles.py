"""The publish, play, leave cycle whose traces tests and figures look for."""

import os


def cycle(flock, cluster, clip, name, n_frames=10):
    """One publish, one viewer of each protocol at an edge and at the origin, all leave. Raises
    AssertionError when a viewer saw a fault."""
    origin, edge = cluster.origins[0], cluster.edges[0]
    publisher = flock.publish(origin.rtmp, name, clip)
    flock.until(lambda: publisher.is_running, 10, f"{name}: publish")
    viewers = [flock.play_rtmp(edge.rtmp, name), flock.play_flv(edge.http, name),
               flock.play_rtmp(origin.rtmp, name), flock.play_flv(origin.http, name)]
    flock.until(lambda: all(v.log.n_frames >= n_frames for v in viewers), 15, f"{name}: plays")
    problems = [p for v in viewers for p in v.log.problems]
    if problems:
        raise AssertionError(f"{name}: {problems}")
    publisher.stop()
    for conn in [publisher, *viewers]:
        conn.close()
    flock.conns.clear()


def n_descriptors(node):
    return len(os.listdir(f"/proc/{node.pid}/fd"))


def run_cycles(cluster, flock, clip, n_cycles, every, on_sample):
    """n_cycles of them, each under a name of its own; on_sample(i) after each `every`-th."""
    for i in range(1, n_cycles + 1):
        cycle(flock, cluster, clip, f"live/cycle{i}")
        if i % every == 0:
            on_sample(i)
