"""A cluster with a host for every process: origins, edges, schedulers, Redis with its Sentinels."""

import signal

import harness
from cluster import store

AUTH = {"Authorization": f"Bearer {harness.TOKEN}"}
HEARTBEAT_S = 0.5
SCHEDULER_SET = {"heartbeat_ms": round(1000 * HEARTBEAT_S), "lease_ms": 2500, "max_children": 2}
NODE_SET = {"pull_idle_ms": 1000}


class Site(harness.Cluster):
    """Context manager, as Cluster is. A process runs on the host of its name."""

    def __init__(self, net, origins=2, edges=3, schedulers=2, node_set=None, origin_set=None):
        super().__init__(origins, edges, "redis", schedulers, {**NODE_SET, **(node_set or {})}, origin_set,
                         scheduler_set=dict(SCHEDULER_SET))
        self.net, self.servers = net, None
        self.frozen = set()  # processes that nobody is to ask anything

    def start_store(self):
        self.servers = store.Store(self)
        self.scheduler_set.update(self.servers.scheduler_sets())

    def start_scheduler(self, index=0, port=0):
        host = self.net.host(f"scheduler-{index + 1}")
        self.scheduler_set["http.listen"] = f"{host.ip}:{port}"
        with host.inside():
            return super().start_scheduler(index)

    def restart_scheduler(self, old):
        return self.start_scheduler(self.schedulers.index(old), old.http[1])

    def make_node(self, role, index, **more):
        host = self.net.host(f"{role}-{index + 1}")
        listen = {f"{name}.listen": f"{host.ip}:0" for name in ("rtmp", "http")}
        sets = {key.replace(".", "__"): value for key, value in {**listen, **self.role_set[role]}.items()}
        with host.inside():
            return super().make_node(role, index, **{**sets, **more})

    def restart_node(self, node):
        with self.host_of(node).inside():
            return super().restart_node(node)

    def host_of(self, process):
        return self.net.host(process.name)

    def node(self, node_id):
        return next(node for node in self.nodes if node.id == node_id)

    def control(self):
        """All that nodes do not need for media."""
        return [*self.schedulers, *self.servers.servers, *self.servers.sentinels]

    def living(self, processes):
        """Those that can answer: ready, and neither dead nor frozen."""
        return [process for process in processes
                if process.is_alive() and process not in self.frozen and hasattr(process, "http")]

    def list(self, process, path):
        """Asked on its own host."""
        with self.host_of(process).inside():
            return super().list(process, path, AUTH)

    def is_at_home(self):
        """All nodes report to the scheduler that they prefer."""
        nodes = self.list(self.schedulers[0], "/api/v1/nodes?limit=1000")
        return len(nodes) == len(self.nodes) and all(node["reports_here"] for node in nodes)

    def close(self, check=True):
        for process in self.processes:
            if process.is_alive():
                process.signal(signal.SIGCONT)
        self.net.mend()
        super().close(check)
