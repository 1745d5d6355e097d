"""Ten seconds of every output: decodes, and keeps every frame's time to the tick."""

import harness
import timing


class TimingTest(timing.Timing):
    seconds = 10


class Mp3TimingTest(timing.Timing):
    seconds, kind = 10, "h264_mp3"
    hls_versions = 2  # segments do not wait for sound that only its own frames describe


class SoundTimingTest(timing.Timing):
    seconds, kind = 10, "audio_only"


class PictureTimingTest(timing.Timing):
    seconds, kind = 10, "video_only"


if __name__ == "__main__":
    harness.main()
