"""Several hosts on this machine: network namespaces on one bridge. A host's cable can be out, hosts can be kept
from each other, links can be lossy, thin or slow. Nothing has a name outside and nothing stays behind, however
the test ends: a namespace lives as long as our descriptor of it and the processes in it, and a guard ends those."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess

import harness

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
OWN_NAMESPACE = "/proc/thread-self/ns/net"
SUBNET = "10.77.0"
PROGRAMS = ("ip", "nft", "tc")

os.environ["PATH"] += ":/usr/sbin:/sbin"  # where these are, and where the PATH of ordinary users is not
_libc = ctypes.CDLL(None, use_errno=True)


class NetError(Exception):
    """The system refused."""


def _call(name, *args):
    if getattr(_libc, name)(*args) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def _run(*argv, script=None):
    done = subprocess.run(argv, input=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise NetError(f"{' '.join(argv)}: {done.returncode} {done.stdout.strip()}" + (
            f" in\n{script}" if script else ""))


def _ip(*lines):
    _run("ip", "-batch", "-", script="\n".join(lines) + "\n")


def _unshare_world():
    """The calling thread gets a network of its own; an ordinary user becomes root of a user namespace first."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        return _call("unshare", CLONE_NEWNET)
    except PermissionError:
        _call("unshare", CLONE_NEWUSER | CLONE_NEWNET)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


@contextlib.contextmanager
def _elsewhere():
    """Whatever namespace the calling thread goes to meanwhile, it comes back."""
    before = os.open(OWN_NAMESPACE, os.O_RDONLY)
    try:
        yield
    finally:
        _call("setns", before, CLONE_NEWNET)
        os.close(before)


class _Guard:
    """A child that waits for our end, then kills what still runs in our namespaces. It holds descriptors of
    them, so that their numbers cannot become those of others."""

    def __init__(self):
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid:
            theirs.close()
            return
        try:
            os.setsid()
            self.sock.close()
            self._wait_and_kill(theirs, parent)
        finally:
            os._exit(0)

    @staticmethod
    def _wait_and_kill(sock, parent):
        held = []
        while True:
            message, descriptors, _, _ = socket.recv_fds(sock, 1, 1)
            if not message:
                break
            held += descriptors
        numbers = {os.fstat(fd).st_ino for fd in held}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError):
                if pid != parent and os.stat(f"/proc/{pid}/ns/net").st_ino in numbers:
                    os.kill(pid, signal.SIGKILL)

    def watch(self, fd):
        socket.send_fds(self.sock, [b"n"], [fd])

    def close(self):
        self.sock.close()
        os.waitpid(self.pid, 0)


class Host:
    """A machine with one network card. What is started inside() runs there; sockets made there stay there."""

    def __init__(self, net, name, number):
        self.net, self.name, self.ip = net, name, f"{SUBNET}.{number}"
        self.cable = f"v{number}"  # its end at the bridge
        self._drops = {}           # name of a fault -> what packets it takes
        with _elsewhere():
            _call("unshare", CLONE_NEWNET)
            self.fd = os.open(OWN_NAMESPACE, os.O_RDONLY)
        net.guard.watch(self.fd)
        _ip(f"link add {self.cable} type veth peer name eth0 netns /proc/{os.getpid()}/fd/{self.fd}",
            f"link set {self.cable} master br0 up")
        with self.inside():
            _ip("link set lo up", f"addr add {self.ip}/24 dev eth0", "link set eth0 up")

    @contextlib.contextmanager
    def inside(self):
        """The calling thread is in this host's network meanwhile, and what it starts stays there."""
        with _elsewhere():
            _call("setns", self.fd, CLONE_NEWNET)
            yield self

    def unplug(self):
        _ip(f"link set {self.cable} down")

    def plug(self):
        _ip(f"link set {self.cable} up")

    def refuse(self, hosts):
        """Packets of these hosts are lost on the way in; none = all come again."""
        ips = ", ".join(host.ip for host in hosts)
        self._drop("refuse", ips and f"ip saddr {{ {ips} }}")

    def lose(self, percent):
        """Of all that comes in, at random; less than 100."""
        self._drop("lose", percent and f"numgen random mod 1000 < {round(10 * percent)}")

    def _drop(self, fault, match):
        self._drops[fault] = match
        rules = "".join(f'iifname "eth0" {rule} drop\n' for rule in self._drops.values() if rule)
        with self.inside():
            _run("nft", "-f", "-", script="table ip fault\ndelete table ip fault\ntable ip fault {\nchain input {\n"
                 "type filter hook input priority 0; policy accept;\n" + rules + "}\n}\n")

    def thin(self, kbit):
        """Both ways; 0 = as before."""
        def shape(device):
            _run("tc", "qdisc", "replace" if kbit else "del", "dev", device, "root",
                 *(f"tbf rate {kbit}kbit burst 16kb latency 200ms".split() if kbit else ()))
        shape(self.cable)
        with self.inside():
            shape("eth0")

    def slow(self, delay_ms):
        """Holds back what it sends. False where the kernel has no netem: then there is delay_proxy.py."""
        try:
            with self.inside():
                _run("tc", "qdisc", "replace", "dev", "eth0", "root", "netem", "delay", f"{delay_ms}ms")
        except NetError:
            return False
        return True


class Net:
    """The bridge and its hosts. The process stays in the bridge's namespace, as SUBNET.1, until it ends; so one Net
    a process, made before any thread."""

    has_cables = True

    def __init__(self):
        self.hosts, self.guard = {}, _Guard()
        _unshare_world()
        self.fd = os.open(OWN_NAMESPACE, os.O_RDONLY)
        self.guard.watch(self.fd)
        _ip("link set lo up", "link add br0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0",
            f"addr add {SUBNET}.1/24 dev br0", "link set br0 up")

    def host(self, name):
        """The host of this name, made when it is first asked for."""
        if name not in self.hosts:
            self.hosts[name] = Host(self, name, 2 + len(self.hosts))
        return self.hosts[name]

    def part(self, side, other_side):
        """No packet passes between the two sets of hosts, both ways."""
        for host in side:
            host.refuse(other_side)
        for host in other_side:
            host.refuse(side)

    def mend(self):
        """All cables in, nothing refused, nothing lost."""
        for host in self.hosts.values():
            host.plug()
            host.refuse(())
            host.lose(0)

    def close(self):
        for host in self.hosts.values():
            os.close(host.fd)
        os.close(self.fd)
        self.guard.close()


class LoopbackHost:
    """This machine: as if it were another one, but for the cable."""

    ip = "127.0.0.1"

    def __init__(self, name):
        self.name = name

    @contextlib.contextmanager
    def inside(self):
        yield self


class Loopback:
    """What is left where namespaces are not permitted."""

    has_cables = False

    def __init__(self):
        self.hosts = {}

    def host(self, name):
        return self.hosts.setdefault(name, LoopbackHost(name))

    def mend(self):
        pass

    def close(self):
        pass


def why_not():
    """Why there can be no Net here; "" when there can. It is tried in a child."""
    for name in PROGRAMS:
        harness.tool(name)
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        text = ""
        try:
            host = Net().host("probe")
            host.lose(1)
            host.thin(1000)
            host.unplug()
        except (OSError, NetError) as error:
            text = str(error)
        finally:
            os.write(write_fd, text.encode()[:4096])
            os._exit(0)
    os.close(write_fd)
    with open(read_fd) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return text


def open_net():
    """Returns a Net, or says loudly why not and returns a Loopback."""
    why = why_not()
    if not why:
        return Net()
    print(f"SKIP: no network namespaces here ({why}): what needs a cable or a partition is left out, the rest runs"
          " on loopback", flush=True)
    return Loopback()
