"""1,000 publish, play, leave cycles: memory and descriptors of the nodes stay flat."""

import harness
import media
import swarm
from cycles import n_descriptors, run_cycles

N_CYCLES, EVERY = 1000, 100
WARM = 300           # allocator arenas and caches have their size by then
GROWTH_KIB = 1024    # allowed from there to the end: 1.5 KiB a cycle would be a leak and be seen


class CyclesTest(harness.ClusterTest):
    cluster_args = {"edges": 1, "node_set": {"publisher_grace_ms": "200", "pull_idle_ms": "200"}}

    def test_memory_is_flat(self):
        nodes, series = self.cluster.nodes, {}

        def sample(i):
            for node in nodes:
                harness.wait_until(lambda: not node.streams(), 20, f"{node.id} has no streams")
            series[i] = {node.id: (node.memory_kib("Rss"), n_descriptors(node)) for node in nodes}
            print(i, series[i], flush=True)

        with swarm.Swarm() as flock:
            run_cycles(self.cluster, flock, swarm.Clip(media.clip("small")), N_CYCLES, EVERY, sample)
        for node in nodes:
            memory_kib = [series[i][node.id][0] for i in sorted(series) if i >= WARM]
            self.assertLess(memory_kib[-1] - memory_kib[0], GROWTH_KIB, f"{node.id}: {memory_kib}")
            descriptors = [series[i][node.id][1] for i in sorted(series)]
            self.assertLessEqual(descriptors[-1], descriptors[0] + 2, f"{node.id}: {descriptors}")


if __name__ == "__main__":
    harness.main()
