"""What must hold whatever breaks: an epoch of a stream has one owner, for ever, and what schedulers say of the
cluster is what the nodes are."""

import re
import threading
import time

import harness

POLL_S = 0.1
GRANTED = re.compile(r'msg="publish granted".* stream=(\S+) node=(\S+) .*epoch=(\d+)')
GRANTED_ALONE = re.compile(r'msg="publish granted without scheduler" stream=(\S+) epoch=(\d+)')


class Claims:
    """Who believed to own an epoch of a stream, over the whole life of a cluster. Edges forward what is published
    at them and own nothing, so only origins are asked."""

    def __init__(self):
        self.owner_of = {}  # (stream, epoch) -> node id
        self.faults = []
        self.lock = threading.Lock()

    def add(self, stream, epoch, node_id, where):
        with self.lock:
            owner = self.owner_of.setdefault((stream, epoch), node_id)
            if owner != node_id:
                self.faults.append(f"epoch {epoch} of {stream}: {owner} and {node_id} ({where})")

    def add_log(self, process):
        """What a scheduler or a node alone granted."""
        log = process.log()
        for stream, node_id, epoch in GRANTED.findall(log):
            self.add(stream, epoch, node_id, f"granted by {process.name}")
        for stream, epoch in GRANTED_ALONE.findall(log):
            self.add(stream, epoch, process.name, "granted by itself")


class Watch:
    """Context manager: asks every origin that can answer, again and again, what it believes to own."""

    def __init__(self, site):
        self.site, self.claims, self.n_looks = site, Claims(), 0
        self.ending, self.threads, self.error = False, [], None

    def __enter__(self):
        self.threads = [threading.Thread(target=self._run, args=(node.id,), daemon=True)
                        for node in self.site.origins]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        for thread in self.threads:
            thread.join()

    def _run(self, node_id):
        try:
            while not self.ending:
                self._look(self.site.node(node_id))
                time.sleep(POLL_S)
        except Exception as error:
            self.error = error  # told by faults()

    def _look(self, node):
        if not self.site.living([node]):
            return
        try:
            streams = self.site.list(node, "/api/v1/streams?limit=1000")
        except (OSError, AssertionError, ValueError, harness.http.client.HTTPException):
            return  # it is being killed or frozen
        for stream in streams:
            if is_published(stream) and stream["epoch"] != "0":
                self.claims.add(stream["name"], stream["epoch"], node.id, "as the nodes said")
        self.n_looks += 1

    def faults(self):
        """All there are, of what was seen and of what the logs tell."""
        for process in self.site.processes:
            self.claims.add_log(process)
        wrong = [] if self.n_looks and not self.error else [f"{self.n_looks} looks at owners: {self.error!r}"]
        return wrong + self.claims.faults


def is_published(stream):
    return stream["live"] and stream["source"]["kind"] == "publish"


def of_nodes(site):
    """{stream: (owner, epoch, number of carriers)} as living nodes have it, and the set of their ids."""
    owners, carriers = {}, {}
    for node in site.living(site.nodes):
        for stream in site.list(node, "/api/v1/streams?limit=1000"):
            if not stream["live"]:
                continue
            if node in site.origins and is_published(stream):
                owners.setdefault(stream["name"], []).append((node.id, stream["epoch"]))
            else:
                carriers[stream["name"]] = carriers.get(stream["name"], 0) + 1
    names = owners.keys() | carriers.keys()
    return {name: (owners.get(name, []), carriers.get(name, 0)) for name in names}


def of_scheduler(site, scheduler):
    """The same as a scheduler has it."""
    found = {}
    for stream in site.list(scheduler, "/api/v1/streams?limit=1000"):
        owner = [(stream["owner"], stream["epoch"])] if stream["owner"] else []
        if owner or stream["n_carriers"]:  # else only its highest epoch is remembered
            found[stream["name"]] = (owner, stream["n_carriers"])
    return found


def difference(site):
    """What schedulers have otherwise than the nodes; "" when the state has converged. Each knows of all owners; of a
    carrier knows the one that it reports to."""
    want = {node.id for node in site.living(site.nodes)}
    truth, carriers = of_nodes(site), {}
    for scheduler in site.living(site.schedulers):
        known, view = site.known_nodes(scheduler), of_scheduler(site, scheduler)
        if known != want:
            return f"{scheduler.name} knows {sorted(known)}, there are {sorted(want)}"
        for name, (_, n_carriers) in view.items():
            carriers[name] = carriers.get(name, 0) + n_carriers
        wrong = _first_difference({name: owner for name, (owner, _) in truth.items() if owner},
                                  {name: owner for name, (owner, _) in view.items() if owner})
        if wrong:
            return f"owners in {scheduler.name}: {wrong}"
    wrong = _first_difference({name: n for name, (_, n) in truth.items() if n},
                              {name: n for name, n in carriers.items() if n})
    return f"carriers: {wrong}" if wrong else ""


def _first_difference(truth, view):
    wrong = sorted(name for name in truth.keys() | view.keys() if truth.get(name) != view.get(name))
    return wrong and f"{len(wrong)} differ, as {wrong[0]}: {view.get(wrong[0])}, at the nodes {truth.get(wrong[0])}"


def wait_heard(site, timeout_s):
    """Until every living scheduler hears every living node, and does not take it for dead."""
    want = {node.id for node in site.living(site.nodes)}
    for scheduler in site.living(site.schedulers):
        harness.wait_until(lambda: site.known_nodes(scheduler) == want, timeout_s,
                           lambda: f"{scheduler.name} hears {sorted(want)}")


def wait_converged(site, timeout_s):
    """Returns how long it took."""
    began, last = time.monotonic(), ""

    def look():
        nonlocal last
        last = difference(site)
        return not last
    harness.wait_until(look, timeout_s, lambda: f"state converges ({last})")
    return time.monotonic() - began
