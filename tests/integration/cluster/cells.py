"""The fault matrix: one row of the table a cell. runner.py says what every cell must hold; a cell says what is
struck, how long, and what must hold besides."""

from dataclasses import dataclass
from typing import Callable

from cluster import checks
from cluster.things import EncoderThing, NodeThing, SchedulerThing, ServerThing, Wire


@dataclass(frozen=True)
class Cell:
    what: str
    how: str         # a key of things.HOWS
    pick: Callable   # (stage) -> the things that are struck
    hold_s: float = 1.0    # the fault lasts at least this long
    lossless: bool = True  # no frame is missing, where the encoder did not have to connect again
    pause_s: float = 3.0   # then the longest pause that such a viewer may see
    is_back: bool = True   # media is back at all other nodes while the fault still lasts
    during: tuple = ()     # checks (run) while it lasts, AssertionError when one fails
    after: tuple = ()      # and when it is healed
    quick: bool = False

    @property
    def name(self):
        return f"{self.what} {self.how}"

    @property
    def needs_cables(self):
        return self.how == "cable"


# --- whom to strike ---

def encoders(stage):
    return [EncoderThing(stage, encoder) for encoder in stage.ffmpegs()]


def origin(stage):
    return [NodeThing(stage, stage.busiest_origin())]


def leaf_edge(stage):
    return [NodeThing(stage, stage.leaf_edge())]


def parent_edge(stage):
    return [NodeThing(stage, stage.parent_edge())]


def scheduler(stage):
    """The one that all nodes prefer."""
    return [SchedulerThing(stage, 0)]


def all_redis(stage):
    """Nothing is left to fail over to; who was the replica is it again."""
    servers = stage.site.servers
    master = servers.master()
    return [ServerThing(master), *(ServerThing(s, master) for s in servers.servers if s is not master)]


def redis_master(stage):
    return [ServerThing(stage.site.servers.master())]


def hosts(stage, processes):
    return [stage.site.host_of(process) for process in processes]


def one_link(stage):
    """Between an origin and an edge that it feeds and that forwards to it: both reach all others."""
    return [Wire(stage.net, hosts(stage, [stage.busiest_origin()]), hosts(stage, stage.site.edges[:1]))]


def halves(stage):
    """Redis's master and one of everything on one side, the majority of the Sentinels on the other."""
    site = stage.site
    side = [site.origins[0], site.edges[0], site.schedulers[0], site.servers.master(), site.servers.sentinels[0]]
    others = [one for one in (*site.nodes, *site.control()) if one not in side]
    return [Wire(stage.net, hosts(stage, side), hosts(stage, others))]


def control_plane(stage):
    """Media nodes reach each other, and nothing else."""
    return [Wire(stage.net, hosts(stage, stage.site.nodes), hosts(stage, stage.site.control()))]


# --- the table ---

ROUTED = (checks.new_stream_works,)
REDIRECTED = (checks.entry_names_living_edges,)
DEGRADED = (checks.schedulers_are_degraded, checks.new_stream_works)
FAILED_OVER = (checks.redis_has_failed_over, checks.new_stream_works)
# Nobody notices: what is longer than a hiccup of a busy machine under sanitizers is a fault. What somebody does notice
# takes upstream_stall_ms, 2 s, at least.
CALM = {"pause_s": 1.5}
# Found by silence: upstream_stall_ms is longer than the GOP that is kept, so frames are lost.
SILENT = {"lossless": False, "hold_s": 6.0}

CELLS = (
    Cell("encoder", "kill -9", encoders, **CALM),
    Cell("encoder", "SIGSTOP", encoders, hold_s=4.0, **CALM),
    Cell("encoder", "SIGTERM", encoders, **CALM),
    Cell("encoder", "cable", encoders, hold_s=4.0, **CALM),

    Cell("origin", "kill -9", origin, quick=True),
    Cell("origin", "SIGSTOP", origin, quick=True, **SILENT),
    Cell("origin", "SIGTERM", origin, quick=True),
    Cell("origin", "cable", origin, **SILENT),

    Cell("edge", "kill -9", leaf_edge, during=REDIRECTED, **CALM),
    Cell("edge", "SIGSTOP", leaf_edge, hold_s=4.0, during=REDIRECTED, **CALM),
    Cell("edge", "SIGTERM", leaf_edge, during=REDIRECTED, **CALM),
    Cell("edge", "cable", leaf_edge, hold_s=4.0, during=REDIRECTED, **CALM),

    Cell("parent edge", "kill -9", parent_edge, quick=True),
    Cell("parent edge", "SIGSTOP", parent_edge, **SILENT),
    Cell("parent edge", "SIGTERM", parent_edge),
    Cell("parent edge", "cable", parent_edge, **SILENT),

    Cell("scheduler", "kill -9", scheduler, during=ROUTED, quick=True, **CALM),
    Cell("scheduler", "SIGSTOP", scheduler, hold_s=4.0, during=ROUTED, **CALM),
    Cell("scheduler", "SIGTERM", scheduler, during=ROUTED, **CALM),
    Cell("scheduler", "cable", scheduler, hold_s=4.0, during=ROUTED, **CALM),

    Cell("Redis", "kill -9", all_redis, during=DEGRADED, quick=True, **CALM),
    Cell("Redis", "SIGSTOP", all_redis, during=DEGRADED, **CALM),
    Cell("Redis", "SIGTERM", all_redis, during=DEGRADED, **CALM),
    Cell("Redis", "cable", all_redis, during=DEGRADED, **CALM),

    Cell("Sentinel failover", "kill -9", redis_master, during=FAILED_OVER, quick=True, **CALM),
    Cell("Sentinel failover", "SIGSTOP", redis_master, during=FAILED_OVER, **CALM),
    Cell("Sentinel failover", "SIGTERM", redis_master, during=FAILED_OVER, **CALM),
    Cell("Sentinel failover", "cable", redis_master, during=FAILED_OVER, **CALM),

    Cell("link", "cable", one_link, **SILENT),
    Cell("partition in halves", "cable", halves, lossless=False, is_back=False, quick=True,
         during=(checks.redis_has_failed_over_there, checks.second_owner_appears), after=(checks.one_owner_is_left,)),
    Cell("partition in halves, short", "cable", halves, lossless=False, is_back=False,
         during=(checks.second_owner_appears,), after=(checks.one_owner_is_left,)),
    Cell("partition from control", "cable", control_plane, hold_s=5.0, **CALM),
)

# What there is to strike: each in every way (things.HOWS), by a cell whose name begins with it, or left out.
THINGS = ("encoder", "origin", "edge", "parent edge", "scheduler", "Redis", "Sentinel failover", "link", "partition")
TO_PROCESSES = ("kill -9", "SIGSTOP", "SIGTERM")
LEFT_OUT = (
    ("link", TO_PROCESSES, "a link has no process; lossy, thin and slow links: test_links.py"),
    ("partition", TO_PROCESSES, "neither has a partition"),
)
