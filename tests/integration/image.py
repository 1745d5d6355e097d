"""The image of deploy/Dockerfile without a Docker engine: its stages are carried out, instruction by instruction, in a bare
Debian made by debootstrap, and containers are processes with a root, a PID namespace and rights as an engine gives
them. Needs root. All mounts belong to a namespace that ends with the process that holds it."""

import atexit
import fnmatch
import functools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness

DOCKERFILE = os.path.join(harness.ROOT, "deploy", "Dockerfile")
BUILD = os.path.dirname(harness.BIN_DIR)
SUITE = "bookworm"


def why_not():
    """Why this machine cannot do it, or None."""
    if os.geteuid() != 0:
        return "needs root: mounts, and a root of its own"
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "none", "/mnt"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return None if tried.returncode == 0 else f"mounts are not permitted here: {tried.stdout.strip()}"


def package(folder):
    """The Debian package of the build that is tested."""
    done = subprocess.run(["cpack", "-G", "DEB", "--config", os.path.join(BUILD, "CPackConfig.cmake"), "-B", folder],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stdout)
    [made] = [name for name in os.listdir(folder) if name.endswith(".deb")]
    return os.path.join(folder, made)


def bare_root():
    """A minimal Debian; made once."""
    kept = os.path.join(harness.MEDIA_DIR, f"root-{SUITE}")
    if not os.path.isdir(kept):
        os.makedirs(harness.MEDIA_DIR, exist_ok=True)
        part = f"{kept}.{os.getpid()}"
        done = subprocess.run([harness.tool("debootstrap"), "--variant=minbase", SUITE, part], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            shutil.rmtree(part, ignore_errors=True)
            raise AssertionError(done.stdout[-3000:])
        os.rename(part, kept)
    return kept


def instructions(path=DOCKERFILE):
    """[(word, text)] of a Dockerfile."""
    with open(path, encoding="utf-8") as file:
        text = "".join(line for line in file if not line.startswith("#"))
    return [tuple(line.split(None, 1)) for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.strip()]


def context():
    """The files of the tree that an engine would be sent: those git knows, less .dockerignore."""
    done = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=harness.ROOT,
                          stdout=subprocess.PIPE, text=True, check=True)
    with open(os.path.join(harness.ROOT, ".dockerignore"), encoding="utf-8") as file:
        rules = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    return [path for path in done.stdout.splitlines() if not is_ignored(path, rules)
            and os.path.exists(os.path.join(harness.ROOT, path))]


def is_ignored(path, rules):
    """The last rule that names the path, or a folder that it is in, counts."""
    parts = path.split("/")
    above = ["/".join(parts[:i]) for i in range(1, len(parts) + 1)]
    ignored = False
    for rule in rules:
        pattern = rule.lstrip("!").rstrip("/")
        names = [a.rsplit("/", 1)[-1] for a in above] if pattern.startswith("**/") else above
        pattern = pattern[3:] if pattern.startswith("**/") else pattern
        if any(name.count("/") == pattern.count("/") and fnmatch.fnmatch(name, pattern) for name in names):
            ignored = not rule.startswith("!")
    return ignored


def stages(path=DOCKERFILE):
    found = []
    for word, text in instructions(path):
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, text))
    return found


class Container:
    """A running one; run() of Image makes it."""

    def __init__(self, image, popen, log):
        self.image, self.popen, self.log_path = image, popen, log

    def pid(self):
        """Of its process 1, as this machine counts."""
        with open(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children", encoding="ascii") as file:
            children = file.read().split()
        return int(children[0]) if children else None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_log(self, text, timeout_s=20):
        harness.wait_until(lambda: text in self.log() or self.popen.poll() is not None, timeout_s, text)
        if text not in self.log():
            raise AssertionError(f"ended with {self.popen.poll()} before {text!r}:\n{self.log()}")

    def run(self, *command):
        """A command inside, as an engine's exec does it: (exit code, output)."""
        uid, gid = self.image.user
        done = subprocess.run(["nsenter", "--target", str(self.pid()), "--mount", "--pid", "--root", "--wd", "--setuid", uid,
                               "--setgid", gid, *command], env={"PATH": "/usr/bin:/bin", **self.image.env},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
        return done.returncode, done.stdout

    def signal(self, number):
        os.kill(self.pid(), number)

    def wait(self, timeout_s=20):
        return self.popen.wait(timeout_s)

    def kill(self):
        """Process 1, with which all go: when it changed its user it lost the signal of --kill-child."""
        if self.popen.poll() is None:
            os.kill(self.pid() or self.popen.pid, signal.SIGKILL)
            self.popen.wait()


class Image:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="headwater-test-")
        self.scratch = tempfile.mkdtemp(prefix="headwater-test-")
        self.holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sleep", "infinity"])
        self.root = os.path.join(self.folder, "root")
        self.user, self.env, self.entrypoint, self.command, self.health = ("0", "0"), {}, None, None, None
        self.containers = []
        harness.wait_until(self._has_namespace, 5)
        lower = bare_root()
        self._mount(f"mount -t tmpfs none {self.folder} && cd {self.folder} && mkdir root upper work && "
                    f"mount -t overlay overlay -o lowerdir={lower},upperdir=upper,workdir=work root && "
                    "mount -t proc proc root/proc && mount --rbind /dev root/dev")

    def _has_namespace(self):
        return os.readlink(f"/proc/{self.holder.pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt")

    def _mount(self, script):
        return self.outside("bash", "-euc", script)

    def outside(self, *command):
        """In the namespace where the root is mounted, but not in it."""
        done = subprocess.run(["nsenter", "--target", str(self.holder.pid), "--mount", *command], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise AssertionError(f"{command}: {done.stdout[-3000:]}")
        return done.stdout

    def inside(self, *command):
        """As root, while the image is made."""
        return self.outside("chroot", self.root, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                            "DEBIAN_FRONTEND=noninteractive", *command)

    def carry_out(self, stage, given=None):
        """given: {path in an earlier stage: file of this machine}."""
        self._mount(f"cp /etc/resolv.conf {self.root}/etc/")
        self.given, self.folder_inside = given or {}, "/"
        for word, text in stage:
            getattr(self, f"_do_{word.lower()}")(text)

    def _do_from(self, text):
        pass

    _do_arg = _do_label = _do_expose = _do_from

    def _do_workdir(self, text):
        self.folder_inside = text.strip()
        self.inside("mkdir", "-p", self.folder_inside)

    def _do_copy(self, text):
        flags = [word for word in text.split() if word.startswith("--")]
        *sources, target = (word for word in text.split() if not word.startswith("--"))
        target = os.path.normpath(os.path.join(self.folder_inside, target)) + ("/" if target.endswith("/") else "")
        for source in sources:
            if any(flag.startswith("--from=") for flag in flags):
                self._put(self.given[source], target)
            elif source == ".":
                for path in context():
                    self._put(os.path.join(harness.ROOT, path), os.path.join(target, path))
            else:
                self._put(os.path.join(harness.ROOT, source), target)
        for flag in flags:
            if flag.startswith("--chmod="):
                self.outside("chmod", flag[8:], self.root + target)

    def _put(self, source, target):
        if target.endswith("/"):
            target += os.path.basename(source)
        self.outside("install", "-D", "-p", "-m", "0755" if os.access(source, os.X_OK) else "0644", source, self.root + target)

    def _do_run(self, text):
        self.inside("sh", "-ec", f"cd {self.folder_inside}; {text}")

    def _do_user(self, text):
        self.user = tuple(text.strip().split(":"))

    def _do_healthcheck(self, text):
        self.health = json.loads(text[text.index("CMD") + 3:])

    def _do_stopsignal(self, text):
        self.stop = getattr(signal, text.strip())

    def _do_entrypoint(self, text):
        self.entrypoint = json.loads(text)

    def _do_cmd(self, text):
        self.command = json.loads(text)

    def run(self, *args, env=None, mounts=()):
        """Read-only root, no rights, a /tmp of its own; mounts: (folder of this machine, place inside)."""
        uid, gid = self.user
        binds = "".join(f"mount --bind -o ro {shlex.quote(a)} {self.root}{b}; " for a, b in mounts)
        for _, place in mounts:
            self._mount(f"mkdir -p {self.root}{place}")
        script = (f"mount -o remount,bind,ro {self.root} 2>/dev/null || mount -o remount,ro {self.root}; "
                  f"mount -t proc proc {self.root}/proc; mount -t tmpfs none {self.root}/tmp; {binds}"
                  f"exec chroot {self.root} setpriv --reuid {uid} --regid {gid} --clear-groups --inh-caps=-all "
                  f'--bounding-set=-all --no-new-privs "$@"')
        log = os.path.join(tempfile.mkdtemp(prefix="headwater-test-"), "log")
        with open(log, "w", encoding="utf-8") as out:
            popen = subprocess.Popen(
                ["nsenter", "--target", str(self.holder.pid), "--mount", "unshare", "--mount", "--pid", "--fork", "--kill-child",
                 "--propagation", "private", "bash", "-ec", script, "bash", *self.entrypoint, *(args or self.command)],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(env or {})}, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT)
        made = Container(self, popen, log)
        self.containers.append(made)
        return made

    def close(self):
        for one in self.containers:
            one.kill()
            shutil.rmtree(os.path.dirname(one.log_path), ignore_errors=True)
        self.holder.kill()
        self.holder.wait()
        for folder in (self.folder, self.scratch):
            shutil.rmtree(folder, ignore_errors=True)


@functools.lru_cache
def built():
    """One for all tests of a program."""
    first, last = stages()
    made, builder = Image(), Image()
    atexit.register(made.close)
    try:
        builder.carry_out(first)
        [(stage, path)] = re.findall(r"--from=(\S+) (\S+)", " ".join(text for word, text in last if word == "COPY"))
        if not first[0][1].endswith(f" AS {stage}"):
            raise AssertionError(f"no stage {stage}")
        kept = os.path.join(made.scratch, os.path.basename(path))
        builder.outside("cp", builder.root + path, kept)
        made.carry_out(last, {path: kept})
    finally:
        builder.close()
    return made


class ImageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        reason = why_not()
        if reason:
            raise unittest.SkipTest(reason)
        cls.image = built()
