"""Records of a node: its API, its folder, and ffmpeg's judgement of the files."""

import json
import os
import subprocess

import harness
import media

FORMATS = ("flv", "ts", "mp4", "hls")
ALL = "* formats=flv|ts|mp4|hls"
JSON = {"Content-Type": "application/json"}


def listed(node, stream=None):
    return harness.items(node.admin, "/api/v1/records?limit=3" + (f"&stream={stream}" if stream else ""))


def running(node, stream):
    return {item["format"]: item for item in harness.items(node.admin, "/api/v1/records/running")
            if item["stream"] == stream}


def wait_written(node, stream, ms, formats=FORMATS, timeout_s=20):
    """Until each format has a file with so much in it."""
    def is_so():
        now = running(node, stream)
        return all(now.get(name, {}).get("duration_ms", 0) >= ms for name in formats)
    harness.wait_until(is_so, timeout_s, lambda: f"{ms} ms of {stream}: {running(node, stream)}")


def wait_listed(node, stream, n, timeout_s=20):
    """The records of the stream, once there are n."""
    return harness.wait_until(lambda: (lambda got: got if len(got) >= n else None)(listed(node, stream)), timeout_s,
                              lambda: f"{n} records of {stream}: {listed(node, stream)}")


def url(node, record):
    return "http://%s:%d" % node.http + record["url"]


def probe(where):
    """{"duration": s, "video": packets, "audio": packets, "keys": times}; ffprobe must not complain."""
    done = subprocess.run([harness.tool("ffprobe"), "-v", "warning", "-of", "json", "-show_entries",
                           "format=duration:stream=codec_type:packet=codec_type,pts_time,flags", where],
                          capture_output=True, text=True, timeout=60)
    if done.returncode or done.stderr:
        raise AssertionError(f"{where}: ffprobe: {done.returncode} {done.stderr}")
    told = json.loads(done.stdout)
    packets = told["packets"]
    return {"duration": float(told["format"]["duration"]), "tracks": sorted(s["codec_type"] for s in told["streams"]),
            "video": sum(p["codec_type"] == "video" for p in packets),
            "audio": sum(p["codec_type"] == "audio" for p in packets),
            "keys": [float(p["pts_time"]) for p in packets if p["codec_type"] == "video" and "K" in p["flags"]]}


def decode(where, seek_s=None, strict=True):
    """Pictures that ffmpeg decodes, without a complaint, from seek_s on."""
    seek = ["-ss", str(seek_s)] if seek_s is not None else []
    done = subprocess.run([harness.tool("ffmpeg"), "-nostdin", "-v", "warning" if strict else "fatal", *seek, "-i", where,
                           "-map", "0:v", "-f", "framemd5", "-"], capture_output=True, text=True, timeout=60)
    if done.returncode or (strict and done.stderr):
        raise AssertionError(f"{where}: ffmpeg: {done.returncode} {done.stderr}")
    return sum(line[0].isdigit() for line in done.stdout.splitlines() if line)


def hashes(where):
    """{track: hashes of its packets' bytes}, as FLV would have them."""
    done = subprocess.run([harness.tool("ffmpeg"), "-nostdin", "-v", "error", "-i", where, "-c", "copy", "-bsf:a",
                           "aac_adtstoasc", "-f", "flv", "-flvflags", "no_duration_filesize", "-"],
                          capture_output=True, timeout=60)
    if done.returncode:
        raise AssertionError(f"{where}: {done.stderr.decode()}")
    md5 = subprocess.run([harness.tool("ffmpeg"), "-nostdin", "-v", "error", "-i", "-", "-c", "copy", "-f", "framemd5", "-"],
                         input=done.stdout, capture_output=True, timeout=60, check=True)
    return {track: [p[2] for p in packets] for track, packets in media.parse_md5(md5.stdout.decode()).items()}


def files(folder):
    """Paths of all files below, relative."""
    return sorted(os.path.relpath(os.path.join(top, name), folder)
                  for top, _, names in os.walk(folder) for name in names)


def index(folder, stream):
    with open(os.path.join(folder, stream, "index.jsonl")) as file:
        return [json.loads(line) for line in file]


class RecordTest(harness.ClusterTest):
    """One node that records below self.folder."""

    node_set, rule = {}, ALL + " split_s=600 segment_s=2"

    @classmethod
    def setUpClass(cls):
        cls.failed = False
        cls.cluster = harness.Cluster(origins=1, edges=0, schedulers=0)
        cls.folder = os.path.join(cls.cluster.folder, "records")
        cls.cluster.node_set = {"record.dir": cls.folder, "record.rules": cls.rule, "record.min_free_bytes": "0",
                                "publisher_grace_ms": "1000", "play_wait_ms": "1000", **cls.node_set}
        cls.cluster.__enter__()

    def setUp(self):
        self.node = self.cluster.origins[0]
        self.stream = f"live/{self.id().split('.')[-1][:60]}"

    def publish(self, clip="h264_aac", seconds=6, stream=None, loop=False, realtime=True):
        publisher = media.publish(media.clip(clip, seconds), self.node.url(stream or self.stream), self.cluster.folder,
                                  "publisher", loop=loop, realtime=realtime)
        self.addCleanup(publisher.kill)
        return publisher
