"""What can be struck, how, and how it is healed."""

import signal

import harness

EXIT_S = 30  # from SIGTERM to the end of a process


class Thing:
    """A process, and the host that it runs on."""

    def __init__(self, site, name, node_id=None, host=None):
        self.site, self.name, self.node_id = site, name, node_id
        self.host = host or site.net.host(name)

    @property
    def process(self):
        raise NotImplementedError

    def restart(self):
        """A new process in the place of the one that is gone."""

    def kill(self):
        self.process.kill()

    def freeze(self):
        self.site.frozen.add(self.process)
        self.process.signal(signal.SIGSTOP)

    def thaw(self):
        self.process.signal(signal.SIGCONT)
        self.site.frozen.discard(self.process)

    def terminate(self):
        """Ends well, or it is a fault; ffmpeg says 255 whatever it does."""
        process, must_exit_0 = self.process, not self.process.expect_death
        process.signal(signal.SIGTERM)
        harness.wait_until(lambda: not process.is_alive(), EXIT_S, f"{self.name} ends on SIGTERM")
        process.expect_death = True
        if must_exit_0 and process.popen.returncode != 0:
            raise AssertionError(f"{self.name}: exit {process.popen.returncode} on SIGTERM")

    def unplug(self):
        self.host.unplug()

    def plug(self):
        self.host.plug()


class NodeThing(Thing):
    def __init__(self, stage, node):
        super().__init__(stage.site, node.id, node.id)

    @property
    def process(self):
        return self.site.node(self.node_id)

    def restart(self):
        self.site.restart_node(self.process)


class SchedulerThing(Thing):
    def __init__(self, stage, index):
        super().__init__(stage.site, stage.site.schedulers[index].name)
        self.index = index

    @property
    def process(self):
        return self.site.schedulers[self.index]

    def restart(self):
        self.site.restart_scheduler(self.process)


class ServerThing(Thing):
    """A redis-server. It comes back as one that knows of nobody, or as the replica of master."""

    def __init__(self, server, master=None):
        super().__init__(server.site, server.name)
        self.server, self.master = server, master

    @property
    def process(self):
        return self.server.process

    def restart(self):
        self.server.start()
        if self.master:
            self.server.follow(self.master)


class EncoderThing(Thing):
    """A real ffmpeg; its supervisor starts it again."""

    def __init__(self, stage, encoder):
        super().__init__(stage.site, f"ffmpeg on {encoder.host.name}", host=encoder.host)
        self.encoder = encoder

    @property
    def process(self):
        return self.encoder.process


class Wire:
    """All that connects two sets of hosts."""

    node_id = None

    def __init__(self, net, side, other_side):
        self.net, self.side, self.other_side = net, side, other_side
        self.name = " | ".join(", ".join(host.name for host in hosts) for hosts in (side, other_side))

    def unplug(self):
        self.net.part(self.side, self.other_side)

    def plug(self):
        for host in (*self.side, *self.other_side):
            host.refuse(())


# The columns of the matrix: how a thing is struck, and how it is healed.
HOWS = {"kill -9": ("kill", "restart"), "SIGSTOP": ("freeze", "thaw"), "SIGTERM": ("terminate", "restart"),
        "cable": ("unplug", "plug")}


def strike(how, things):
    for thing in things:
        getattr(thing, HOWS[how][0])()


def heal(how, things):
    for thing in things:
        getattr(thing, HOWS[how][1])()
