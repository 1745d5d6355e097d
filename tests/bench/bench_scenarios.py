"""The scenarios: which servers, which load, which targets. One builder each; SCENARIOS lists them."""

import contextlib
import socket
import time

import bench_hls
import bench_load
import bench_media
import bench_proc
from bench_report import percentile
from bench_run import TRACED_VIEWERS, Check, Invalid, Row, Table, plain, publishing, windowed
from bench_servers import Floor, Headwater, HeadwaterTls, Nginx, Pair

STREAM = "live/bench"
FLUSH_MS = {"realtime": 0, "balanced": 40, "efficient": 350}
LATENCY_MS = {  # (figure, limit): end to end through one node
    "realtime": (("video_p50", 3), ("video_p99", 10), ("audio_p50", 3), ("audio_p99", 10)),
    "balanced": (("video_p50", 5), ("video_p99", 12), ("audio_p50", 25), ("audio_p99", 45)),
    "efficient": (),
}
N_MEMORY = 1000


def factory(make, *args, **sets):
    """A function of the bench that makes the server, with the peer it belongs to."""
    def server(bench):
        return make(bench, *args, **sets)
    server.peer = make.peer
    return server


def floor_fanout(media, flush_ms):
    def server(bench):
        return Floor(bench, "headwater-floor-fanout", "--flv", bench.floor_media(media), "--flush-ms", flush_ms)
    server.peer = "floor"
    return server


def viewers(kind, n_players, media, ramp=1):
    """Load of one publisher and its players."""
    def args(bench, server):
        return ["--publish", server.url("rtmp", STREAM), "--flv", bench_media.clip(media), "--play",
                server.url(kind, STREAM), "--players", n_players, "--ramp", ramp]
    return args


def floor_viewers(n_players, ramp=1):
    """The floor program has its media from a file."""
    def args(_, server):
        return ["--play", server.url("http", STREAM), "--players", n_players, "--ramp", ramp, "--no-stamp"]
    return args


def pairs_of(n, with_players):
    """n publishers, each with one RTMP player or none."""
    def args(_, server):
        url = server.url("rtmp", "live/s{i}")
        play = ["--play", url, "--players", n] if with_players else []
        return ["--publish", url, "--publishers", n, "--flv", bench_media.clip("200k"), *play]
    return args


def fan_row(name, server, kind, n_players, media, latency, ramp=1):
    if server.peer == "floor":
        load, traced = floor_viewers(n_players, ramp), floor_viewers(TRACED_VIEWERS)
    else:
        load, traced = viewers(kind, n_players, media, ramp), viewers(kind, TRACED_VIEWERS, media)
    return plain(name, server, load, traced, FLUSH_MS[latency])


def fan_checks(row, latency, floor, cpu_limit=1.10):
    """What every fan-out is held to. floor: the name of the floor program's row."""
    ms = tuple(Check(f"{row}: {figure.replace('_', ' ')}", row, figure, limit, unit="ms")
               for figure, limit in LATENCY_MS[latency])
    return (Check(f"{row}: CPU / {floor}", row, "cpu", cpu_limit, floor),
            Check(f"{row}: sends per viewer-second / {floor}", row, "sends", 0.01, floor, equal=True),
            Check(f"{row}: user time", row, "user_share", 10, unit="% of its CPU"), *ms)


def s1(_, latencies):
    """1,000 publishers"""
    for latency, limit in (("realtime", 1.3), ("balanced", 1.4)):
        if latency not in latencies:
            continue
        floor, node = f"floor ingest {FLUSH_MS[latency]} ms", f"headwater {latency}"
        load = pairs_of(1000, with_players=False)
        rows = (plain(floor, factory(Floor, "headwater-floor-ingest", "--tick-ms", FLUSH_MS[latency]), load),
                plain(node, factory(Headwater, latency=latency), load),
                plain("nginx-rtmp", factory(Nginx), load))
        checks = (Check(f"{node}: CPU / {floor}", node, "cpu", limit, floor),
                  Check(f"{node}: CPU / nginx-rtmp", node, "cpu", 0.6 if latency == "balanced" else None,
                        "nginx-rtmp"))
        yield Table(f"S1 {latency}", "1,000 publishers, 200 kbit/s each, nobody plays", rows, checks)


def fan_out(wanted, latencies):
    """1 publisher, 1,000 viewers: by RTMP in S2, by HTTP-FLV in S4"""
    names = [name for name in ("S2", "S4") if name in wanted]
    for latency in latencies:
        floor = f"floor fan-out {FLUSH_MS[latency]} ms"
        http, rtmp = f"headwater HTTP-FLV {latency}", f"headwater RTMP {latency}"
        node = factory(Headwater, latency=latency)
        rows = [fan_row(floor, floor_fanout("200k", FLUSH_MS[latency]), "http", 1000, "200k", latency)]
        checks = ()
        if "S4" in names:
            rows.append(fan_row(http, node, "http", 1000, "200k", latency))
            checks += fan_checks(http, latency, floor)
        if "S2" in names:
            rows.append(fan_row(rtmp, node, "rtmp", 1000, "200k", latency))
            checks += fan_checks(rtmp, latency, floor)
            checks += (Check(f"{rtmp}: CPU / {http}", rtmp, "cpu", 1.05, http),)
            if latency != "efficient":
                rows.append(fan_row("nginx-rtmp", factory(Nginx), "rtmp", 1000, "200k", latency))
                checks += (Check(f"{rtmp}: CPU / nginx-rtmp", rtmp, "cpu", None, "nginx-rtmp"),)
        yield Table(f"{' '.join(names)} {latency}", "1 publisher of 200 kbit/s, 1,000 viewers", tuple(rows),
                    checks)


def s3(_, latencies):
    """1,000 publishers, each with one RTMP viewer"""
    if "balanced" in latencies:
        node, load = "headwater balanced", pairs_of(1000, with_players=True)
        rows = (plain(node, factory(Headwater, latency="balanced"), load),
                plain("nginx-rtmp", factory(Nginx), load))
        checks = (Check(f"{node}: CPU / nginx-rtmp", node, "cpu", 0.6, "nginx-rtmp"),
                  Check(f"{node}: video p99", node, "video_p99", 90, unit="ms"),
                  Check(f"{node}: audio p99", node, "audio_p99", 90, unit="ms"))
        yield Table("S3 balanced", "1,000 publishers of 200 kbit/s, each with one RTMP viewer", rows, checks)


def s5(_, latencies):
    """2.5 Mbit/s, 300 viewers"""
    if "balanced" in latencies:
        floor, node = "floor fan-out 40 ms", factory(Headwater, latency="balanced")
        http, rtmp = "headwater HTTP-FLV balanced", "headwater RTMP balanced"
        rows = (fan_row(floor, floor_fanout("2500k", 40), "http", 300, "2500k", "balanced"),
                fan_row(http, node, "http", 300, "2500k", "balanced"),
                fan_row(rtmp, node, "rtmp", 300, "2500k", "balanced"),
                fan_row("nginx-rtmp", factory(Nginx), "rtmp", 300, "2500k", "balanced"))
        checks = tuple(Check(f"{row}: CPU / {ref}", row, "cpu", None, ref)
                       for row, ref in ((http, floor), (rtmp, floor), (rtmp, "nginx-rtmp")))
        yield Table("S5 balanced", "1 publisher of 2.5 Mbit/s, 300 viewers", rows, checks)


def settle(bench):
    time.sleep(2 if bench.quick else 10)


def each(pid, before_kib):
    """Memory that came with N_MEMORY connections, for each of them."""
    now = bench_proc.memory_kib(pid)
    return {"kib_each": (now - before_kib) / N_MEMORY, "pss_kib": now}


def memory_of_idle(name, server, talk):
    """Connections that said talk(socket) and no more."""
    def run(bench):
        with server(bench) as running, contextlib.ExitStack() as stack:
            settle(bench)
            before = bench_proc.memory_kib(running.pid)
            address = running.rtmp if talk else running.http
            for _ in range(N_MEMORY):
                sock = stack.enter_context(socket.create_connection(address, 10))
                if talk:
                    talk(sock)
            settle(bench)
            return each(running.pid, before)
    return Row(name, server.peer, run)


def shake_hands(sock):
    """RTMP 1.0, section 5.2."""
    sock.sendall(b"\x03" + bytes(1536))
    got = b""
    while len(got) < 3073:
        piece = sock.recv(3073 - len(got))
        if not piece:
            raise Invalid("closed in the handshake")
        got += piece
    sock.sendall(got[1:1537])


def memory_of_load(name, server, load_args, plays=True):
    """Viewers after 30 s of play over the running stream without them; or publishers."""
    def run(bench):
        with server(bench) as running, contextlib.ExitStack() as stack:
            if plays and server.peer != "floor":
                stack.enter_context(publishing(bench, running, STREAM))
            settle(bench)
            before = bench_proc.memory_kib(running.pid)
            warmup = 5 if bench.quick else 30 if plays else 10
            with bench.load([*load_args(bench, running), "--warmup", warmup, "--seconds", 1]) as load:
                report = load.report(120)
                found = each(running.pid, before)
            if bench_load.faults(report):
                raise Invalid("; ".join(bench_load.faults(report)))
            return found
    return Row(name, server.peer, run)


def players_only(kind, n_players):
    def args(_, server):
        return ["--play", server.url(kind, STREAM), "--players", n_players]
    return args


def s6(_, latencies):
    """memory per idle viewer, playing viewer, publisher"""
    del latencies
    node = factory(Headwater, limits__handshake_ms=600000, limits__idle_ms=600000,
                   limits__http_head_ms=600000)
    rows = (memory_of_idle("headwater: idle TCP", node, None),
            memory_of_idle("headwater: idle RTMP, after the handshake", node, shake_hands),
            memory_of_load("headwater: HTTP-FLV viewer", node, players_only("http", N_MEMORY)),
            memory_of_load("headwater: RTMP viewer", node, players_only("rtmp", N_MEMORY)),
            memory_of_load("headwater: publisher", node, pairs_of(N_MEMORY, False), plays=False),
            memory_of_load("floor: viewer", floor_fanout("200k", 40), floor_viewers(N_MEMORY)),
            memory_of_load("nginx-rtmp: viewer", factory(Nginx), players_only("rtmp", N_MEMORY)),
            memory_of_load("nginx-rtmp: publisher", factory(Nginx), pairs_of(N_MEMORY, False), plays=False))
    checks = tuple(Check(f"{row}: PSS each", row, "kib_each", limit, unit="KiB") for row, limit in (
        ("headwater: idle TCP", None), ("headwater: idle RTMP, after the handshake", None),
        ("headwater: HTTP-FLV viewer", 1), ("headwater: RTMP viewer", 1), ("headwater: publisher", 150)))
    yield Table("S6", f"memory: PSS with {N_MEMORY} less PSS with none, for each; 200 kbit/s, GOP of 2 s", rows,
                checks, max_pairs=3)


def run_pair(name, n_players, at_edge):
    """A cluster: publisher at the origin, HTTP-FLV viewers at the edge or the origin."""
    def run(bench):
        with Pair(bench, latency="balanced") as pair:
            node = pair.edge if at_edge else pair.origin
            origin_pid = pair.origin.pid
            play = ["--play", node.url(STREAM, "http"), "--players", n_players]
            with bench.load(["--publish", pair.origin.url(STREAM), "--flv", bench_media.clip("200k"), *play,
                             "--warmup", bench.warmup, "--seconds", bench.seconds]) as load:
                load.wait_begin()
                before = [bench_proc.Snapshot(pid, []) for pid in (node.pid, origin_pid)]
                report = load.report(bench.seconds + 30)
                after = [bench_proc.Snapshot(pid, []) for pid in (node.pid, origin_pid)]
        if bench_load.faults(report):
            raise Invalid("; ".join(bench_load.faults(report)))
        figures = bench_load.figures(report) | bench_proc.window(before[0], after[0])
        return figures | {"origin_process": bench_proc.window(before[1], after[1])["process"]}
    return Row(name, "headwater", run)


def s7(_, latencies):
    """through the cluster: publisher at the origin, 1,000 viewers at an edge"""
    if "balanced" in latencies:
        edge, alone, one = "edge, 1,000 viewers", "one node, 1,000 viewers (S4)", "origin, 1 viewer"
        rows = (plain(alone, factory(Headwater, latency="balanced"), viewers("http", 1000, "200k")),
                run_pair(edge, 1000, at_edge=True), run_pair(one, 1, at_edge=False))
        checks = (Check("edge: process CPU / one node", edge, "process", 1.05, alone),
                  Check("origin: process CPU with the edge / with one viewer", edge, "origin_process", 1.10,
                        one),
                  Check("both nodes: video p50", edge, "video_p50", 25, unit="ms"),
                  Check("both nodes: video p99", edge, "video_p99", 60, unit="ms"))
        yield Table("S7 balanced", "cluster: 1 publisher at the origin, HTTP-FLV viewers at an edge", rows,
                    checks, note="Origin, edge and scheduler share the server's core; ksoftirqd is left out,"
                    " since it cannot be told whose work it does. The origin's cost is half a percent of a"
                    " core: the same is taken as 1.10.")


def s8(_, latencies):
    """10,000 viewers of one stream of 20 kbit/s"""
    if "efficient" in latencies:
        floor, node = "floor fan-out 350 ms", "headwater HTTP-FLV efficient"
        server = factory(Headwater, latency="efficient")
        rows = (fan_row(floor, floor_fanout("20k", 350), "http", 10000, "20k", "efficient", ramp=5),
                fan_row(node, server, "http", 10000, "20k", "efficient", ramp=5))
        checks = (Check(f"{node}: CPU / {floor}", node, "cpu", 1.10, floor),
                  Check(f"{node}: sends per viewer-second / {floor}", node, "sends", None, floor))
        yield Table("S8 efficient", "1 publisher of 20 kbit/s, 10,000 viewers, none lost", rows, checks)


def run_storm(bench):
    """200 viewers run; 2,000 more join within a second; then all 2,200 run."""
    seconds = min(bench.seconds, 10)
    with Headwater(bench, latency="balanced") as node, publishing(bench, node, STREAM):
        url = node.url("http", STREAM)
        watch = ["--play", url, "--players", 200]
        quiet = windowed(bench, watch, None, node.cores, seconds=seconds)
        join = ["--play", url, "--players", 2000, "--ramp", 1, "--warmup", 1, "--seconds", 1]
        with bench.load([*watch, "--warmup", bench.warmup, "--seconds", seconds]) as running:
            running.wait_begin()
            with bench.load(join, nice=19) as joining:  # the core is the watchers' first
                reports = [joining.report(60), running.report(seconds + 30)]
                settled = windowed(bench, watch, None, node.cores, seconds=seconds)
    reasons = [reason for report in reports for reason in bench_load.faults(report)]
    if reasons:
        raise Invalid("; ".join(reasons))
    joined, disturbed = map(bench_load.figures, reports)
    return {"first_key_p50": joined["first_key_p50"], "first_key_p99": joined["first_key_p99"],
            "quiet_p99": quiet["video_p99"], "storm_p99": disturbed["video_p99"],
            "settled_p99": settled["video_p99"]}


def s9(_, latencies):
    """2,000 viewers join in one second"""
    if "balanced" in latencies:
        row = "headwater HTTP-FLV balanced"
        checks = (Check("joining: first key frame p99", row, "first_key_p99", 100, unit="ms"),
                  Check("running viewers: video p99 in the storm / before it", row, "storm_p99", 2, row,
                        ref_figure="quiet_p99"),
                  Check("running viewers: video p99 in the storm / after it, with 2,200", row, "storm_p99",
                        None, row, ref_figure="settled_p99"))
        yield Table("S9 balanced", "join storm: 2,000 viewers join a stream of 200 viewers in one second",
                    (Row(row, "headwater", run_storm),), checks,
                    note="p99 of 200 viewers alone (quiet), while 2,000 join (storm), with them there"
                    " (settled). Joining and running viewers' loads share one core; the joining one"
                         " has the lowest priority, so that it delays the server and not the watch.")


def run_loops(n_loops):
    def run(bench):
        with Headwater(bench, bench.all_cores, latency="balanced", loops=n_loops) as node:
            args = viewers("http", 1000, "200k")(bench, node)
            figures = windowed(bench, args, node.pid, node.cores, load_cores=bench.all_cores)
        return figures | {"busiest_thread": max(figures["threads"].values())}
    return Row(f"headwater, {n_loops} loop{'s' * (n_loops > 1)}", "headwater", run)


def s10(_, latencies):
    """two loops on two cores"""
    if "balanced" in latencies:
        one, two = run_loops(1), run_loops(2)
        checks = (Check("CPU of all threads, two loops / one", two.name, "process", 1.10, one.name),
                  Check("busiest thread, two loops / one", two.name, "busiest_thread", None, one.name))
        yield Table("S10 balanced", "1 publisher of 200 kbit/s, 1,000 HTTP-FLV viewers on one loop and on two",
                    (one, two), checks,
                    note="Server and load both run on both cores, with one loop as with two.")


def run_slow(name, n_slow):
    def run(bench):
        with Headwater(bench, latency="balanced") as node:
            args = viewers("http", 900, "200k")(bench, node)
            if n_slow:
                args += ["--play", node.url("http", STREAM), "--players", n_slow, "--slow-bps", 50000]
            return windowed(bench, args, node.pid, node.cores)
    return Row(name, "headwater", run)


def s11(_, latencies):
    """100 slow viewers among 900 good ones"""
    if "balanced" in latencies:
        alone, mixed = "900 good viewers", "900 good, 100 slow viewers"
        limit_mib = 64  # feed.max_pinned_bytes
        checks = (Check("good viewers: video p99 with slow ones / without", mixed, "video_p99", 1.10, alone),
                  Check("good viewers: audio p99 with slow ones / without", mixed, "audio_p99", 1.10, alone),
                  Check("node: PSS that slow viewers cost", mixed, "pss_kib", limit_mib * 1024, alone, "KiB",
                        minus=True))
        yield Table("S11 balanced", "100 viewers that read 50 kbit/s of 200 among 900 good ones",
                    (run_slow(alone, 0), run_slow(mixed, 100)), checks,
                    note=f"feed.max_pinned_bytes is {limit_mib} MiB.")


def s12(_, latencies):
    """HTTPS-FLV beside HTTP-FLV: many viewers of little, and fewer of much"""
    node = factory(HeadwaterTls, latency="balanced")
    for n_players, media, text in ((1000, "200k", "200 kbit/s"), (300, "2500k", "2.5 Mbit/s")):
        if "balanced" not in latencies:
            continue
        plain_row, tls_row = "headwater HTTP-FLV", "headwater HTTPS-FLV"
        rows = tuple(plain(name, node, viewers(kind, n_players, media, ramp=5))
                     for name, kind in ((plain_row, "http"), (tls_row, "https")))
        checks = (Check("CPU, HTTPS / HTTP", tls_row, "cpu", None, plain_row),
                  Check("CPU of TLS", tls_row, "cpu", None, plain_row, "% of a core", minus=True),
                  Check("memory of the node, HTTPS - HTTP", tls_row, "pss_kib", None, plain_row, "KiB", minus=True))
        yield Table(f"S12 {media}", f"1 publisher of {text}, {n_players:,} viewers with TLS and without", rows, checks)


def ts_viewers(n_players, media):
    def args(_, server):
        url = server.url("http", STREAM).removesuffix(".flv") + ".ts"
        return ["--publish", server.url("rtmp", STREAM), "--flv", bench_media.clip(media), "--play", url,
                "--players", n_players]
    return args


def s13(_, latencies):
    """1,000 HTTP-TS viewers beside 1,000 HTTP-FLV viewers"""
    for latency in latencies:
        flv, ts = f"headwater HTTP-FLV {latency}", f"headwater HTTP-TS {latency}"
        node = factory(Headwater, latency=latency)
        rows = (plain(flv, node, viewers("http", 1000, "200k")), plain(ts, node, ts_viewers(1000, "200k")))
        checks = (Check("bytes, HTTP-TS / HTTP-FLV", ts, "kbps", None, flv),
                  Check("CPU, HTTP-TS / HTTP-FLV", ts, "cpu", None, flv),
                  Check("CPU a byte, HTTP-TS / HTTP-FLV", ts, "cpu_per_mbps", 1.10, flv))
        yield Table(f"S13 {latency}", "1 publisher of 200 kbit/s, 1,000 viewers of HTTP-FLV and of HTTP-TS", rows,
                    checks)


def run_hls(name, container, n_viewers, segment_ms=2000):
    def run(bench):
        with Headwater(bench, hls__segment_ms=segment_ms) as node, publishing(bench, node, STREAM), \
                bench_hls.HlsViewers(node.http, STREAM, container, n_viewers) as load:
            softirqs = bench_proc.softirq_tasks(node.cores)
            load.run(2 * segment_ms / 1000 * (1 + bench_hls.START_BEHIND))  # the first ones have waited for a segment
            load.reset()
            before = bench_proc.Snapshot(node.pid, softirqs)
            load.run(bench.seconds)
            after = bench_proc.Snapshot(node.pid, softirqs)
            figures = load.figures() | bench_proc.window(before, after) | {"pss_kib": bench_proc.memory_kib(node.pid)}
        if load.faults or figures["viewers"] < n_viewers or figures["load_cpu"] > 85:
            raise Invalid(f"{figures['viewers']} viewers, load {figures['load_cpu']:.0f} %; "
                          + "; ".join(load.faults[:5]))
        return figures | {"fetch_p99": 1000 * percentile(load.fetch_s, 99)}
    return Row(name, "headwater", run)


def s14(_, latencies):
    """500 HLS viewers, segments of 2 s"""
    if "balanced" in latencies:
        rows = tuple(run_hls(f"headwater HLS {container}", container, 500) for container in ("ts", "fmp4"))
        checks = tuple(Check(f"{row.name}: CPU", row.name, "cpu", 10, unit="% of a core") for row in rows)
        yield Table("S14", "1 publisher of 200 kbit/s, 500 HLS viewers, segments of 2 s", rows, checks,
                    note="Viewers poll as RFC 8216 says, without the directives of low latency; the node makes parts"
                         " of 200 ms all the same.")


def run_warm(kind):
    def run(bench):
        with Headwater(bench, latency="balanced") as node, publishing(bench, node, STREAM, players=10):
            args = ["--play", node.url(kind, STREAM), "--players", 1000, "--ramp", 5]
            return windowed(bench, args, node.pid, node.cores, seconds=2)
    return Row(f"headwater {'HTTP-FLV' if kind == 'http' else 'RTMP'}", "headwater", run)


def warm(_, latencies):
    """first key frame of a running stream, 1,000 joins spread over 5 s"""
    if "balanced" in latencies:
        rows = (run_warm("http"), run_warm("rtmp"))
        checks = tuple(Check(f"{row.name}: first key frame {key[-3:]}", row.name, key, limit, unit="ms")
                       for row in rows for key, limit in (("first_key_p50", 1), ("first_key_p99", 10)))
        yield Table("warm", "first key frame: 1,000 joins spread over 5 s on a running stream", rows, checks)


SCENARIOS = {"S1": s1, "S2": fan_out, "S3": s3, "S4": fan_out, "S5": s5, "S6": s6, "S7": s7, "S8": s8,
             "S9": s9, "S10": s10, "S11": s11, "S12": s12, "S13": s13, "S14": s14, "warm": warm}


def tables(wanted, latencies, peers):
    """The tables of the wanted scenarios, with the rows of the wanted peers."""
    builders = list(dict.fromkeys(SCENARIOS[name] for name in wanted))
    for build in builders:
        for table in build(wanted, latencies):
            rows = tuple(row for row in table.rows if row.peer in peers)
            names = {row.name for row in rows}
            checks = tuple(c for c in table.checks if c.row in names and (c.ref is None or c.ref in names))
            if rows:
                yield Table(table.key, table.title, rows, checks, table.max_pairs, table.note)
