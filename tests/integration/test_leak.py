"""Streams that come and go leave nothing behind. Under AddressSanitizer the leak check at exit adds to
this; the memory series over 1,000 cycles is test_cycles.py."""

import harness
import media
import swarm
from cycles import cycle, n_descriptors, run_cycles


class LeakTest(harness.ClusterTest):
    cluster_args = {"edges": 1, "node_set": {"publisher_grace_ms": "200", "pull_idle_ms": "200"}}

    def test_nothing_is_left_after_forty_cycles(self):
        clip = swarm.Clip(media.clip("small"))
        with swarm.Swarm() as flock:
            cycle(flock, self.cluster, clip, "live/first")
            self.settle()
            before = {node: n_descriptors(node) for node in self.cluster.nodes}
            run_cycles(self.cluster, flock, clip, 40, 40, lambda i: None)
            self.settle()
            for node in self.cluster.nodes:
                harness.wait_until(lambda: n_descriptors(node) <= before[node] + 2, 10,
                                   lambda: f"{node.id}: {n_descriptors(node)} descriptors, {before[node]} before")

    def settle(self):
        for node in self.cluster.nodes:
            harness.wait_until(lambda: not node.streams(), 20, f"{node.id} has no streams")
            harness.wait_until(lambda: not node.sessions(), 20, f"{node.id} has no sessions")


if __name__ == "__main__":
    harness.main()
