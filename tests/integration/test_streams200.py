"""200 streams at once on two origins, one viewer each at a random edge, for a minute: all play, no time
stamp goes backwards, nothing is lost."""

import harness
import load
import media
import swarm


class StreamsTest(harness.ClusterTest):
    cluster_args = {"origins": 2, "edges": 2}

    def test_200_streams_lose_nothing(self):
        with swarm.Swarm() as flock:
            figures = load.run_streams(self.cluster, flock, swarm.Clip(media.clip("small")))
        faults = figures.pop("faults")
        print(figures, flush=True)
        self.assertEqual(faults, [])


if __name__ == "__main__":
    harness.main()
