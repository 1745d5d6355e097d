"""A minute of every output: decodes, and keeps every frame's time to the tick."""

import harness
import timing


class TimingTest(timing.Timing):
    seconds = 60


if __name__ == "__main__":
    harness.main()
