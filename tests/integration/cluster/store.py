"""Redis as a cluster has it: a master, its replica and three Sentinels, each on a host of its own."""

import os

import harness

MASTER_NAME = "headwater"
DOWN_AFTER_MS, FAILOVER_MS = 1000, 3000


class Server(harness.Redis):
    """A redis-server, nothing on disk. It listens on its host's address, and on loopback for us."""

    def __init__(self, site, name):
        self.site, self.name, self.host = site, name, site.net.host(name)
        folder = os.path.join(site.folder, name)
        os.makedirs(folder)
        with self.host.inside():
            super().__init__(folder)

    def binds(self):
        return sorted({self.host.ip, "127.0.0.1"})

    def argv(self):
        return [harness.tool("redis-server"), "--port", str(self.port), "--bind", *self.binds(),
                "--protected-mode", "no", "--save", "", "--appendonly", "no", "--dir", self.folder,
                "--repl-diskless-sync-delay", "0", "--repl-timeout", "5", "--repl-ping-replica-period", "1"]

    def start(self):
        with self.host.inside():
            self.process = harness.Process(self.name, self.argv(), self.folder)
        self.site.processes.append(self.process)
        harness.wait_until(self._answers, harness.READY_S, f"{self.name} answers")

    def command(self, *words):
        with self.host.inside():
            return super().command(*words)

    def follow(self, master):
        self.command("REPLICAOF", master.host.ip, str(master.port))

    def role(self):
        """b"master" or b"slave"; b"" while it does not answer."""
        try:
            return self.command("ROLE").split(b"\r\n")[2]
        except (OSError, IndexError):
            return b""

    def is_connected_replica(self):
        return self.role() == b"slave" and b"\r\nconnected\r\n" in self.command("ROLE")


class Sentinel(Server):
    def __init__(self, site, name, master):
        self.master = master
        super().__init__(site, name)

    def argv(self):
        path = os.path.join(self.folder, "sentinel.conf")
        if not os.path.exists(path):  # Sentinel keeps what it learns in it
            with open(path, "w") as file:
                file.write(f"port {self.port}\nbind {' '.join(self.binds())}\nprotected-mode no\ndir {self.folder}\n"
                           f"sentinel monitor {MASTER_NAME} {self.master.host.ip} {self.master.port} 2\n"
                           f"sentinel down-after-milliseconds {MASTER_NAME} {DOWN_AFTER_MS}\n"
                           f"sentinel failover-timeout {MASTER_NAME} {FAILOVER_MS}\n")
        return [harness.tool("redis-server"), path, "--sentinel"]

    def master_address(self):
        """(host, port) that it tells its clients; None while it cannot."""
        try:
            words = self.command("SENTINEL", "get-master-addr-by-name", MASTER_NAME).split(b"\r\n")
            return words[2].decode(), int(words[4])
        except (OSError, IndexError, ValueError):
            return None


class Store:
    """All of them."""

    def __init__(self, site):
        self.servers = [Server(site, f"redis-{i}") for i in (1, 2)]
        self.servers[1].follow(self.servers[0])
        self.sentinels = [Sentinel(site, f"sentinel-{i}", self.servers[0]) for i in (1, 2, 3)]
        harness.wait_until(self.is_whole, 20, "Redis is whole")

    def scheduler_sets(self):
        """Keys by which a scheduler finds the master."""
        return {"store.redis.sentinels": [f"{s.host.ip}:{s.port}" for s in self.sentinels],
                "store.redis.master": MASTER_NAME}

    def master(self):
        """The server that all Sentinels name; None while they do not agree."""
        told = {sentinel.master_address() for sentinel in self.sentinels}
        return next((s for s in self.servers if told == {(s.host.ip, s.port)}), None)

    def replica(self):
        return next(server for server in self.servers if server is not self.master())

    def is_whole(self):
        """Everybody agrees on one master, it is one, and the other one follows it."""
        master = self.master()
        return bool(master) and master.role() == b"master" and all(
            server.is_connected_replica() for server in self.servers if server is not master)
