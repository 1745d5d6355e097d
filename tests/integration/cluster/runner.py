"""One cell of the fault matrix from a cluster that is well to one that is well again, and what must hold of
every cell:

- no viewer of a node that was not struck is disconnected, and its time stamps never go back nor jump;
- no epoch of a stream ever has two owners;
- where the encoder did not have to connect again, no frame is missing and no pause is long (the cell says);
- when the fault is healed, schedulers and nodes agree within two heartbeats of hearing each other."""

import time

import harness
from cluster import encoders, things, truth
from cluster.site import HEARTBEAT_S

BACK_S = 15       # media is back, after the fault or its end
BACK_FRAMES = 25
SETTLED_S = 0.5   # what was under way when the fault came has arrived by then
AGREE_S = 20
HEARD_S = 10      # nodes and schedulers find each other: TCP's own timers count, too
CONVERGE_S = 2 * HEARTBEAT_S + 1.0  # and a second for a busy machine


class Run:
    def __init__(self, stage, cell):
        self.stage, self.cell = stage, cell
        self.problems, self.figures, self.n_steady = [], {}, 0

    def go(self):
        """Returns texts on what was wrong; .figures has times in seconds."""
        self.stage.prepare()
        self.things = self.cell.pick(self.stage)
        self._begin()
        try:
            things.strike(self.cell.how, self.things)
            self._last()
        finally:
            things.heal(self.cell.how, self.things)
        self._recover()
        self._judge()
        return self.problems

    # --- the fault ---

    def _begin(self):
        struck = {thing.node_id for thing in self.things}
        self.struck_ids = struck
        self.kept = [viewer for viewer in self.stage.viewers if viewer.node.id not in struck]
        self.before = {viewer: (viewer.encoder.n_connects, viewer.log.n_jumped) for viewer in self.kept}
        self.suffering = {viewer for viewer in self.kept if self._is_cut_off(viewer.encoder)}
        self.struck_at = time.monotonic()

    def _is_cut_off(self, encoder):
        """Its media cannot come while the fault lasts: it stands still itself or publishes where nobody answers it,
        and does not know."""
        if self.cell.how not in ("SIGSTOP", "cable"):
            return False
        if any(getattr(thing, "encoder", None) is encoder for thing in self.things):
            return True
        struck = [self.stage.site.node(node_id).rtmp for node_id in self.struck_ids if node_id]
        knows = self.cell.how == "cable" and isinstance(encoder, encoders.Encoder)
        return encoder.address in struck and not knows

    def _last(self):
        """While it lasts."""
        if self.cell.is_back:
            self._wait_back([v for v in self.kept if v not in self.suffering], self.struck_at, "while it lasts")
            self.figures["back"] = time.monotonic() - self.struck_at
        for check in self.cell.during:
            self._try(check, self)
        left_s = self.struck_at + self.cell.hold_s - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)  # the fault itself; nothing is waited for

    def _recover(self):
        healed_at = time.monotonic()
        # How soon Sentinels agree is theirs.
        self._try(harness.wait_until, self.stage.site.servers.master, AGREE_S, "Sentinels agree on a master")
        self.figures["agreed"] = time.monotonic() - healed_at
        if self._try(truth.wait_heard, self.stage.site, HEARD_S):
            self.figures["heard"] = time.monotonic() - healed_at
            for check in self.cell.after:
                self._try(check, self)
            self._try(self._converge)
        self._wait_back(self.kept, healed_at, "when it is healed")

    def _converge(self):
        self.figures["converged"] = truth.wait_converged(self.stage.site, CONVERGE_S)

    def _wait_back(self, viewers, since, when):
        def silent():
            return [v.name for v in viewers if v.log.n_since(since + SETTLED_S) < BACK_FRAMES]
        self._try(harness.wait_until, lambda: not silent(), BACK_S, lambda: f"media is back {when} ({silent()})")

    def _try(self, call, *args):
        """Whether it went well; else its complaint is one of the problems."""
        try:
            call(*args)
            return True
        except AssertionError as error:
            self.problems.append(str(error))
            return False

    # --- what was seen ---

    def _judge(self):
        end = time.monotonic()
        self.hiccup_s = self.stage.live.longest_hiccup_s(self.struck_at, end)
        if self.hiccup_s:
            self.figures["hiccup"] = self.hiccup_s
        for viewer in self.kept:
            self._judge_viewer(viewer, end)
        if self.cell.lossless and not self.n_steady:
            self.problems.append("no viewer was there to tell whether frames are missing")
        for edge_id, found in self.stage.clear_house().items():
            if edge_id not in self.struck_ids:
                self.problems += found
        self.problems += self.stage.watch.claims.faults
        self.stage.watch.claims.faults = []

    def _judge_viewer(self, viewer, end):
        log = viewer.log
        if viewer.closed:
            self.problems.append(f"{viewer.name}: closed ({viewer.error})")
        self.problems += [f"{viewer.name}: {problem}" for problem in log.problems]
        pause_s = log.longest_pause_s(self.struck_at, end)
        self.figures["pause"] = max(pause_s, self.figures.get("pause", 0))
        n_connects, n_jumped = self.before[viewer]
        if viewer in self.suffering or viewer.encoder.n_connects != n_connects or not self.cell.lossless:
            return
        self.n_steady += 1
        self.figures["steady"] = max(pause_s, self.figures.get("steady", 0))
        if log.n_jumped != n_jumped:
            self.problems.append(f"{viewer.name}: frames are missing")
        if pause_s > self.cell.pause_s + self.hiccup_s:
            self.problems.append(f"{viewer.name}: nothing came for {pause_s:.2f} s, {self.cell.pause_s} s are allowed,"
                                 f" and {self.hiccup_s:.2f} s in which we did not come to look")

    def text(self):
        figures = ", ".join(f"{name} {value:.2f} s" for name, value in self.figures.items())
        struck = "; ".join(thing.name for thing in self.things)
        return f"{self.cell.name} ({struck}): {figures}; {self.n_steady} of {len(self.kept)} viewers steady"
