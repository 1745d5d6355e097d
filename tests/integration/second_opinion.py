"""FFmpeg 8, which speaks Enhanced RTMP: it publishes files and plays streams. ffmpeg8/remux.mjs is what it
runs; Debian's own ffmpeg makes the files."""

import json
import os
import subprocess

import harness

FOLDER = os.path.join(harness.ROOT, "tests", "integration", "ffmpeg8")
SIZE = "testsrc2=size=160x120:rate=25"
NOISE = "anoisesrc=sample_rate=48000:seed=7:amplitude=0.3"
VIDEO = {
    "h264": "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 -bf 2",
    "hevc": "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=25:bframes=2"
            " -pix_fmt yuv420p -tag:v hvc1",
    "av1": "-c:v libsvtav1 -preset 12 -g 25 -pix_fmt yuv420p",
    "vp9": "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -pix_fmt yuv420p",
    "vp8": "-c:v libvpx -deadline realtime -cpu-used 8 -g 25 -pix_fmt yuv420p",
}
AUDIO = {"aac": "-c:a aac", "mp3": "-c:a libmp3lame", "opus": "-c:a libopus", "flac": "-c:a flac -strict -2",
         "ac3": "-c:a ac3", "eac3": "-c:a eac3"}
ENHANCED = "rtmp_enhanced_codecs=hvc1,av01,vp09,Opus,fLaC,ac-3,ec-3,.mp3,mp4a"


def source(video=None, audio=None, seconds=5, seed=7):
    """Path of a generated file; made once."""
    os.makedirs(harness.MEDIA_DIR, mode=0o700, exist_ok=True)
    end = "mkv" if video == "vp8" else "mp4"
    path = os.path.join(harness.MEDIA_DIR, f"codec-{video}-{audio}-{seconds}-{seed}.{end}")
    if os.path.exists(path):
        return path
    argv = [harness.tool("ffmpeg"), "-nostdin", "-v", "error", "-y"]
    for wanted, graph in ((video, SIZE), (audio, NOISE.replace("seed=7", f"seed={seed}"))):
        argv += ["-f", "lavfi", "-t", str(seconds), "-i", graph] if wanted else []
    argv += VIDEO[video].split() if video else []
    argv += AUDIO[audio].split() + ["-b:a", "64k", "-ac", "2"] if audio else []
    part = f"{path}.{os.getpid()}.{end}"
    subprocess.run(argv + [part], check=True, stderr=subprocess.DEVNULL)
    os.rename(part, path)
    return path


def install():
    harness.npm_install(FOLDER, "node-av", "--ignore-scripts")


def _start(*args):
    return subprocess.Popen([harness.tool("node"), "remux.mjs", *map(str, args)], cwd=FOLDER,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def publish(url, *files):
    """A process that sends the files as one stream in real time, and ends with them."""
    return _start("publish", url, "flv", *files)


def play(url, *options, seconds=30):
    """A process that plays until the end; tracks_of() waits for it."""
    return _start("play", url, seconds, *options)


def finish(process, timeout_s=60):
    """Standard output of a process that has to succeed."""
    out, errors = process.communicate(timeout=timeout_s)
    if process.returncode:
        raise AssertionError(f"{' '.join(process.args[1:])}: exit {process.returncode}: {errors[-1500:]}")
    return out


def tracks_of(process, timeout_s=60):
    """[{"codec", "type", "extradata", "packets": [(dts_ms, pts_ms, md5)], "time_base": (n, d), "ticks": [(dts, pts)]}];
    type 0 is video, 1 audio."""
    found = json.loads(finish(process, timeout_s).splitlines()[-1])
    return [track for track in found if track["codec"]]  # not the script data


def tracks_of_file(path):
    return tracks_of(play(path))


def assert_same_packets(want, got, where, min_packets):
    """got is a run of want up to its end: the same bytes, one behind the other."""
    hashes, start = [p[2] for p in want["packets"]], got["packets"][0][2]
    if start not in hashes:
        raise AssertionError(f"{where}: begins with a packet that was not published")
    rest = hashes[hashes.index(start):]
    played = [p[2] for p in got["packets"]]
    if len(played) < min_packets:
        raise AssertionError(f"{where}: {len(played)} packets, at least {min_packets} are due")
    if played != rest[:len(played)]:
        at = next(i for i, (a, b) in enumerate(zip(played, rest)) if a != b)
        raise AssertionError(f"{where}: packet {at} of {len(played)} is another one")
    shifts = {g[0] - w[0] for w, g in zip(want["packets"][hashes.index(start):], got["packets"])}
    if max(shifts) - min(shifts) > 2:  # FLV counts milliseconds, and each side rounds
        raise AssertionError(f"{where}: times drift by {max(shifts) - min(shifts)} ms")
