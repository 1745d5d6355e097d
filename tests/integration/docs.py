"""The commands of the manuals: found in every *.md of the tree, and run in a world of their own where the documented
addresses, ports and names are free. README.md in this folder's parent says how a block is marked."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile

import harness

# What a reader has and this machine has not, as text: these stand in the manuals.
SUBSTITUTES = {
    "/etc/headwater": "{folder}/etc",
    "/var/lib/headwater": "{folder}/var",
    "/srv/www": "{folder}/www",
    "/tmp/": "{folder}/",
    "<this repository>": harness.ROOT,
}

# Programs in front of the real ones, in PATH.
STAND_INS = {
    # No display: what it would show is decoded for 2 s, and must be frames.
    "ffplay": """frames=$(timeout 30 ffmpeg -v error -i "$@" -t 2 -f framecrc - | grep -vc '^#' || true)
[ "${!#}" != - ] || cat >/dev/null # a window that stays open
[ "$frames" -ge 25 ] || { echo "ffplay $*: $frames frames" >&2; exit 1; }
echo "ffplay $*: plays"
""",
    # A clone is this tree as it is, with the programs of this build: test_up has a real build.
    "git": """[ "$1" = clone ] && [ -d "$2" ] || exit 2
mkdir -p "$3/.build/release"
for entry in "$2"/*; do ln -s "$entry" "$3/"; done
ln -s {bin} "$3/.build/release/bin"
""",
    # Builds nothing; a preset that does not exist is an error all the same.
    "cmake": """case $* in
"--preset release" | "--build --preset release"*) {cmake} --list-presets >/dev/null ;;
*) exit 2 ;;
esac
""",
}

COMMANDS = re.compile(
    r"^(?:\$ |sudo )?(?:PATH=\S+ )?(?:headwater-\w+|ffmpeg|ffplay|curl|git|cmake|ctest|cpack|kubectl|docker|systemctl|apt|apt-get|"
    r"sysctl|openssl|redis-cli|promtool|node|npm|printf|kill|(?:\./)?(?:deploy|tests)/\S+\.(?:sh|py)|tests/run\.sh) ", re.M)
NOT_RUN = re.compile(r"^# not run by tests\b[^:]*: \S.{9,}")
INSIDE = """
set -euo pipefail
ip link set lo up
mount --bind "$FOLDER/hosts" /etc/hosts
cd "$FOLDER"
exec 3<"$FOLDER/todo" 4>"$FOLDER/done"
while read -r -u 3 step; do
    case $step in */ask-*) ;; *) set -x ;; esac
    source "$step" </dev/null
    { set +x; } 2>/dev/null
    echo ok >&4
done
"""
# Every daemon that a block left running has to end well.
CLOSE = """
{ set +x; } 2>/dev/null
declare -A left=()
for pid in $(jobs -p); do
    name=$(cat /proc/$pid/comm 2>/dev/null || true)
    if kill -TERM $pid 2>/dev/null; then left[$pid]=$name; fi
done
for pid in "${!left[@]}"; do
    code=0; wait $pid || code=$?
    case ${left[$pid]} in headwater-*) echo "END ${left[$pid]} $code" ;; esac
done
"""


class Block:
    """One fenced block."""

    def __init__(self, file, line, heading, info, text):
        self.file, self.line, self.heading, self.info, self.text = file, line, heading, info, text

    def __repr__(self):
        return f"{self.file}:{self.line} ({self.heading})"


def manuals():
    """Paths of all manuals, from the root."""
    for folder, folders, files in os.walk(harness.ROOT):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in ("node_modules", "vendor"))
        for name in sorted(files):
            if name.endswith(".md"):
                yield os.path.relpath(os.path.join(folder, name), harness.ROOT)


def read(path):
    with open(os.path.join(harness.ROOT, path), encoding="utf-8") as file:
        return file.read()


def blocks_of(path, text):
    found, heading, inside = [], "", None
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"^\s*```(.*)$", line)
        if fence and inside is None:
            inside = Block(path, number, heading, fence[1].strip(), "")
        elif fence:
            found.append(inside)
            inside = None
        elif inside is not None:
            inside.text += line + "\n"
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()
    if inside is not None:
        raise AssertionError(f"{inside}: the block does not end")
    return found


def all_blocks():
    return [block for path in manuals() for block in blocks_of(path, read(path))]


def complaint(block):
    """What is wrong with how a block is marked, or None."""
    if block.info == "sh":
        return None
    if block.info == "console":
        return None if NOT_RUN.match(block.text) else "begins with no \"# not run by tests: REASON\""
    if COMMANDS.search(block.text):
        return "has commands: mark it sh (tests run it) or console (and say why they do not)"
    return None


def namespaces():
    """How to get into a world of one's own, or None where that is not permitted."""
    argv = [harness.tool("unshare"), "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    argv += [] if os.geteuid() == 0 else ["--map-root-user"]
    return argv if subprocess.run([*argv, "true"], capture_output=True).returncode == 0 else None


class World:
    """A network, processes and a folder of their own; a shell that runs one block after the other in it."""

    def __init__(self, hosts=()):
        # The folder's name is short: Unix sockets have 107 bytes.
        self.folder = tempfile.mkdtemp(prefix="headwater-test-")
        self.output_path = os.path.join(self.folder, "output")
        for name in ("bin", "etc", "var", "www"):
            os.mkdir(os.path.join(self.folder, name))
        self.put("hosts", "".join(f"127.0.0.1 {name}\n" for name in ("localhost", *hosts)))
        for name, text in STAND_INS.items():
            text = text.replace("{bin}", harness.BIN_DIR).replace("{cmake}", shutil.which("cmake") or "false")
            self.put(f"bin/{name}", "#!/bin/bash\nset -euo pipefail\n" + text, 0o755)
        self.n_steps = 0

    def put(self, name, text, mode=0o600):
        path = os.path.join(self.folder, name)
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "w") as file:
            file.write(text)
        return path

    def __enter__(self):
        for name in ("todo", "done"):
            os.mkfifo(os.path.join(self.folder, name))
        path = f"{self.folder}/bin:{os.path.abspath(harness.BIN_DIR)}:{os.environ['PATH']}:/usr/sbin:/sbin"
        with open(self.output_path, "wb") as output:
            self.shell = subprocess.Popen(
                [*namespaces(), "bash", "--norc", "-c", INSIDE], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, **harness.sanitizer_env(), "FOLDER": self.folder, "PATH": path, "PS4": "+ ",
                     "TMPDIR": self.folder})
        # Opened for both: neither end waits for the other, and a shell that dies is seen by poll().
        self.todo = os.open(os.path.join(self.folder, "todo"), os.O_RDWR)
        self.done = os.open(os.path.join(self.folder, "done"), os.O_RDWR | os.O_NONBLOCK)
        return self

    def __exit__(self, kind, *_):
        failed = kind
        try:
            if not failed:
                failed = AssertionError
                self.sh(CLOSE)
                self.check_end()
                failed = None
        finally:
            self.shell.kill()
            self.shell.wait()
            os.close(self.todo)
            os.close(self.done)
            if failed:
                print(f"--- {self.folder}\n" + "\n".join(self.output().splitlines()[-60:]))
            else:
                shutil.rmtree(self.folder)

    def output(self):
        with open(self.output_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def check_end(self):
        output = self.output()
        bad = [line for line in output.splitlines() if re.match(r"END \S+ [1-9]", line)]
        bad += [sign for sign in harness.SANITIZER_SIGNS if sign in output]
        if bad:
            raise AssertionError("; ".join(bad))

    def _says_ok(self):
        with contextlib.suppress(BlockingIOError):
            return os.read(self.done, 16).startswith(b"ok")
        return self.shell.poll() is not None and "dead"

    def sh(self, text, timeout_s=240, name="step"):
        """Runs it in the shell; AssertionError when a command of it fails."""
        self.n_steps += 1
        step = self.put(f"{name}-{self.n_steps}", text)
        os.write(self.todo, step.encode() + b"\n")
        if harness.wait_until(self._says_ok, timeout_s, lambda: f"end of\n{text}\n{self.output()[-2000:]}") == "dead":
            raise AssertionError(f"failed:\n{text}\n{self.output()[-3000:]}")

    def run(self, block, **more):
        self.sh(self.adapt(block), **more)

    def adapt(self, block):
        words = "|".join(re.escape(word) for word in SUBSTITUTES)
        text = re.sub(words, lambda found: SUBSTITUTES[found[0]].replace("{folder}", self.folder), block.text)
        return f": {block.file}:{block.line}\n{text}"

    def stay(self, block):
        """Runs it as in a terminal of its own: what does not end by itself, is ended with the world."""
        self.sh(f"(\n{self.adapt(block)}\n) &\n")

    def ask(self, text, **more):
        """What a command writes to standard output."""
        self.sh(f"{{\n{text}\n}} >\"$FOLDER/answer\"", name="ask", **more)
        with open(os.path.join(self.folder, "answer"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def until(self, text, wanted, timeout_s=90):
        """Asks until the answer has that in it."""
        answer = ""

        def look():
            nonlocal answer
            answer = self.ask(f"{text} || true")
            return wanted in answer
        harness.wait_until(look, timeout_s, lambda: f"{text}: {wanted} in {answer}", step_s=0.2)
        return answer

    def make_clip(self, name="clip.mp4"):
        clip = "testsrc2=size=320x240:rate=25"
        self.sh(f"ffmpeg -nostdin -v error -f lavfi -t 10 -i {clip} -f lavfi -t 10 -i sine=frequency=440:sample_rate=44100"
                f" -c:v libx264 -preset veryfast -pix_fmt yuv420p -b:v 300k -g 25 -c:a aac -b:a 64k {name}")
