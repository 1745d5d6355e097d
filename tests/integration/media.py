"""Generated clips and the real programs that publish and play them."""

import os
import subprocess

import harness

VIDEO = "testsrc2=size=320x240:rate=25"  # shows a running counter: no two frames are alike
AUDIO = "anoisesrc=color=pink:sample_rate=44100:seed=7:amplitude=0.3"  # noise: no two frames are alike
H264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -b:v 300k -g 25 -bf 2 -sc_threshold 0"
H264_PLAIN = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -b:v 200k -g 25 -bf 0 -sc_threshold 0"

# name -> (inputs, codec arguments). B-frames make pts differ from dts.
CLIPS = {
    "h264_aac": ((VIDEO, AUDIO), f"{H264} -c:a aac -b:a 64k"),
    "h264_mp3": ((VIDEO, AUDIO), f"{H264} -c:a libmp3lame -b:a 64k"),
    "audio_only": ((AUDIO,), "-c:a aac -b:a 64k"),
    "video_only": ((VIDEO,), H264),
    "wide": (("testsrc2=size=480x272:rate=25",), H264),
    "small": (("testsrc2=size=160x120:rate=25", "anoisesrc=sample_rate=22050:seed=7:amplitude=0.3"),
              f"{H264_PLAIN} -b:v 80k -c:a aac -b:a 24k"),
    "fat": (("testsrc2=size=640x360:rate=25", AUDIO),
            "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -b:v 6M -minrate 6M -maxrate 6M"
            " -bufsize 1M -x264-params nal-hrd=cbr -g 25 -bf 0 -c:a aac -b:a 64k"),
}


def clip(name, seconds=10):
    """Path of a generated FLV file; made once for each MEDIA_DIR."""
    os.makedirs(harness.MEDIA_DIR, mode=0o700, exist_ok=True)
    path = os.path.join(harness.MEDIA_DIR, f"{name}-{seconds}.flv")
    if os.path.exists(path):
        return path
    inputs, codecs = CLIPS[name]
    argv = [harness.tool("ffmpeg"), "-nostdin", "-v", "error", "-y"]
    for source in inputs:
        argv += ["-f", "lavfi", "-t", str(seconds), "-i", source]
    part = f"{path}.{os.getpid()}"
    subprocess.run(argv + codecs.split() + ["-flags", "+bitexact", "-f", "flv", part], check=True)
    os.rename(part, path)  # whole or not there: tests run side by side
    return path


def publish(path, url, folder, name="publisher", loop=False, realtime=True, flags=()):
    """ffmpeg that sends a file as it is. flags go in front of the URL."""
    argv = [harness.tool("ffmpeg"), "-nostdin", "-v", "warning"]
    argv += ["-re"] if realtime else []
    argv += ["-stream_loop", "-1"] if loop else []
    argv += ["-i", path, "-c", "copy", "-f", "flv", *flags, url]
    process = harness.Process(name, argv, folder)
    process.expect_death = True  # its exit code says nothing about Headwater
    return process


def play_md5(url, out_path, folder, name="player", seconds=None, flags=()):
    """ffmpeg that writes one line a packet: stream, dts, pts, duration, size, hash. flags go in front of
    the URL."""
    argv = [harness.tool("ffmpeg"), "-nostdin", "-v", "warning", "-y", *flags, "-i", url, "-c", "copy"]
    argv += ["-t", str(seconds)] if seconds else []
    argv += ["-flush_packets", "1", "-f", "framemd5", out_path]
    process = harness.Process(name, argv, folder)
    process.expect_death = True
    return process


def file_md5(path):
    """What play_md5() would write for the file itself."""
    argv = [harness.tool("ffmpeg"), "-nostdin", "-v", "error", "-i", path, "-c", "copy",
            "-f", "framemd5", "-"]
    return parse_md5(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout)


def read_md5(path):
    if not os.path.exists(path):
        return {}
    with open(path) as file:
        return parse_md5(file.read())


def parse_md5(text):
    """{"video" | "audio": [(dts, pts, hash)]}; time in ms, as FLV has it."""
    kinds, packets = {}, {}
    for line in text.splitlines():
        if line.startswith("#media_type"):
            number, kind = line.split(" ", 1)[1].split(": ")
            kinds[number] = kind.strip()
        elif line.startswith("#tb") and not line.endswith(": 1/1000"):
            raise AssertionError(f"time base is not 1/1000: {line}")
        elif line and not line.startswith("#") and line.count(",") >= 5:
            fields = [field.strip() for field in line.split(",")]
            packets.setdefault(kinds[fields[0]], []).append((int(fields[1]), int(fields[2]), fields[5]))
    return packets


def compare_md5(published, played, min_packets):
    """Checks a relay: each track's packets are the published ones, in order and without a gap from the
    first one to the end, time moved by one constant. Returns {track: (packets, shift_ms)};
    AssertionError says what differs."""
    if set(published) != set(played):
        raise AssertionError(f"tracks {sorted(played)} played, {sorted(published)} published")
    return {track: _compare_track(track, published[track], played[track], min_packets)
            for track in published}


def _compare_track(track, published, played, min_packets):
    if len(played) < min_packets:
        raise AssertionError(f"{track}: {len(played)} packets, at least {min_packets} are due")
    starts = [i for i, packet in enumerate(published) if packet[2] == played[0][2]]
    if len(starts) != 1:
        raise AssertionError(f"{track}: the first packet was published {len(starts)} times")
    start = starts[0]
    shift = played[0][0] - published[start][0]
    if start + len(played) != len(published):
        raise AssertionError(f"{track}: packets {start} to {start + len(played) - 1} came of"
                             f" {len(published)} that were published")
    for i, (dts, pts, md5) in enumerate(played):
        want = published[start + i]
        if md5 != want[2]:
            raise AssertionError(f"{track}: packet {i} has another hash than published {start + i}")
        if (dts, pts) != (want[0] + shift, want[1] + shift):
            raise AssertionError(f"{track}: packet {i} dts {dts} pts {pts}, published {want[:2]}"
                                 f" moved by {shift}")
    return len(played), shift
