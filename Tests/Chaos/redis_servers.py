"""Runs real Redis servers: one alone, a primary one with replicas and sentinels, or a cluster."""

from __future__ import annotations

import itertools
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from servers import free_ports

# Each write is on the disk before it is acknowledged, so that a server can be killed without loss.
DURABLE = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]


@dataclass(frozen=True)
class Place:
    """A machine on which servers run: this one, or one that a command leads to."""

    address: str = "127.0.0.1"
    # What stands before a command so that it runs there.
    command: tuple[str, ...] = ()
    # The environment that gives its servers a clock of their own; empty for the true one.
    clock: dict[str, str] = field(default_factory=dict, hash=False)

    def free_port(self) -> int:
        # On a machine of its own, nothing else listens.
        return next(PORTS) if self.command else free_ports(1)[0]


HERE = Place()
PORTS = itertools.count(7000)


class Node:
    """Runs one process of redis-server on a port of a machine."""

    def __init__(self, folder: Path, *options: str, sentinel: str = "", place: Place = HERE) -> None:
        self._folder, self._options, self._sentinel = folder, options, sentinel
        self.place, self.port = place, place.free_port()
        folder.mkdir(parents=True)

    @property
    def address(self) -> str:
        return f"{self.place.address}:{self.port}"

    def start(self) -> None:
        command = [*self.place.command, "redis-server"]
        if self._sentinel:
            # A sentinel keeps what it has learned in its file.
            configuration = self._folder / "sentinel.conf"
            if not configuration.exists():
                configuration.write_text(self._sentinel)
            command += [str(configuration), "--sentinel"]
        command += ["--port", str(self.port), "--bind", self.place.address, "--dir", str(self._folder), *self._options]
        # A server that listens elsewhere than on the loopback interface wants a password, unless it is told otherwise.
        command += ["--protected-mode", "no"]
        command += ["--logfile", str(self._folder / "redis.log")]
        environment = os.environ | (self.place.clock if not self._sentinel else {})
        self._process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "--", *command], stdin=subprocess.DEVNULL, env=environment)
        wait_until("redis-server does not answer", lambda: "PONG" in self.cli("PING", check=False))

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def cli(self, *arguments: str, check: bool = True) -> str:
        command = [*self.place.command, "redis-cli", "-h", self.place.address, "-p", str(self.port), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=check).stdout

    def is_replicated(self) -> bool:
        # While it reads the data of another server, it may close connections.
        return "master_link_status:up" in self.cli("INFO", "replication", check=False)


class Redis:
    """Runs a Redis server alone. The other classes have the same methods."""

    def __init__(self, folder: Path) -> None:
        self._node = Node(folder / "redis", *DURABLE)
        self.address = f"redis://{self._node.address}"
        self._begin()

    def _begin(self) -> None:
        self.restarts = 0
        # When a primary server was killed, and when another one had taken its place (`time.monotonic`).
        self.elections: list[tuple[float, float]] = []

    def __enter__(self) -> Redis:
        self._node.start()
        return self

    def __exit__(self, *_: object) -> None:
        for node in self._nodes():
            node.end()

    def restart(self) -> None:
        """Kills a server with SIGKILL and starts it again a moment later."""
        self.restarts += 1
        self._node.kill()
        time.sleep(0.5)
        self._node.start()

    def hasty_elections(self) -> int:
        return 0

    def locks(self) -> list[str]:
        """Returns the remaining locks and waiting requests."""
        keys = [key for node in self._primaries() for key in node.cli("--scan", "--pattern", "tgpipe:*").split()]
        return [key for key in keys if key.endswith((":lock", ":owner", ":waiters", ":interest"))]

    def turns(self) -> list[str]:
        """Returns the sets of requests that hold a turn of the scheduler, or wait for one, and are not empty."""
        names = ["tgpipe:{turns}:running", "tgpipe:{turns}:waiting"]
        return [name for name in names if any(node.cli("EXISTS", name).strip() == "1" for node in self._primaries())]

    def _nodes(self) -> Iterable[Node]:
        return [self._node]

    def _primaries(self) -> Iterable[Node]:
        return [node for node in self._nodes() if "role:master" in node.cli("INFO", "replication")]


class Sentinels(Redis):
    """Runs a primary server, two replicas and three sentinels. A killed primary server comes back as a replica."""

    NAME = "mymaster"

    def __init__(self, folder: Path, places: Sequence[Place] = (HERE,)) -> None:
        """- Parameter places: the machines, each of which gets a server and a sentinel in turn."""
        self._begin()
        self._folder = folder
        options = [*DURABLE, "--repl-diskless-sync-delay", "0"]
        first = Node(folder / "redis-0", *options, place=places[0])
        self._servers = [first] + [
            Node(
                folder / f"redis-{number}", *options, "--replicaof", first.place.address, str(first.port),
                place=places[number % len(places)],
            ) for number in (1, 2)
        ]  # fmt: skip
        text = (
            f"sentinel monitor {self.NAME} {first.place.address} {first.port} 2\n"
            f"sentinel down-after-milliseconds {self.NAME} 1000\nsentinel failover-timeout {self.NAME} 3000\n"
        )
        self._sentinels = [
            Node(folder / f"sentinel-{number}", sentinel=text, place=places[number % len(places)]) for number in range(3)
        ]
        hosts = ",".join(sentinel.address for sentinel in self._sentinels)
        self.address = f"redis+sentinel://{hosts}/{self.NAME}?replicas=1"

    def __enter__(self) -> Sentinels:
        for server in self._servers:
            server.start()
        wait_until("the replicas are not ready", lambda: all(server.is_replicated() for server in self._servers[1:]))
        for sentinel in self._sentinels:
            sentinel.start()
        wait_until("the sentinels do not know each other", lambda: all(self._knows_all(one) for one in self._sentinels))
        return self

    def __exit__(self, *_: object) -> None:
        for node in [*self._sentinels, *self._servers]:
            node.end()

    def restart(self) -> None:
        """Kills the primary server, and starts it again once the sentinels have elected another one."""
        self.restarts += 1
        lost = self.primary()
        killed_at = time.monotonic()
        lost.kill()
        wait_until("no other server was elected", lambda: self.primary().port != lost.port)
        self.elections.append((killed_at, time.monotonic()))
        lost.start()
        wait_until("the killed server does not come back", lost.is_replicated)

    def hasty_elections(self) -> int:
        """Returns how many servers were elected right after another one, although no server was killed in between: a busy one may not answer
        its sentinels for a second. A replica may be elected then that lags behind the one which has confirmed writes, and these are lost."""
        found = []
        for log in self._folder.glob("sentinel-*/redis.log"):
            found += re.findall(r"^\d+:X (.*?) # \+promoted-slave", log.read_text(), re.MULTILINE)
        times = sorted(datetime.strptime(text, "%d %b %Y %H:%M:%S.%f").timestamp() for text in found)
        return sum(later - earlier < 5 for earlier, later in itertools.pairwise(times))

    def primary(self, seen_by: int = 0) -> Node:
        """- Parameter seen_by: the sentinel that is asked."""
        port = int(self._sentinels[seen_by].cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.NAME).split()[1])
        return next(server for server in self._servers if server.port == port)

    def _knows_all(self, sentinel: Node) -> bool:
        words = sentinel.cli("SENTINEL", "MASTER", self.NAME).split("\n")
        facts = dict(zip(words[::2], words[1::2], strict=False))
        return facts.get("num-other-sentinels") == "2" and facts.get("num-slaves") == "2"

    def _nodes(self) -> Iterable[Node]:
        return self._servers


class Cluster(Redis):
    """Runs a cluster of three nodes with a replica each. A killed node comes back as the replica of the one that took its place."""

    def __init__(self, folder: Path, places: Sequence[Place] = (HERE,)) -> None:
        """- Parameter places: the machines, over which the nodes are spread; a node's replica is on another one if there are several."""
        self._begin()
        self._random = random.Random(1)
        options = [*DURABLE, "--repl-diskless-sync-delay", "0", "--cluster-enabled", "yes", "--cluster-node-timeout", "1000"]
        around = [places[(number + number // 3) % len(places)] for number in range(6)]
        self._all = [
            Node(folder / f"redis-{number}", *options, "--cluster-port", str(place.free_port()), place=place)
            for number, place in enumerate(around)
        ]
        self.address = "redis+cluster://" + ",".join(node.address for node in self._all) + "?replicas=1"

    def __enter__(self) -> Cluster:
        for node in self._all:
            node.start()
        bounds = [0, 5461, 10923, 16384]
        for number, node in enumerate(self._all[:3]):
            node.cli("CLUSTER", "ADDSLOTSRANGE", str(bounds[number]), str(bounds[number + 1] - 1))
            node.cli("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for node in self._all[1:]:
            bus = node.cli("CONFIG", "GET", "cluster-port").split()[1]
            self._all[0].cli("CLUSTER", "MEET", node.place.address, str(node.port), bus)
        self._wait_for("cluster_known_nodes:6")
        for number, node in enumerate(self._all[3:]):
            node.cli("CLUSTER", "REPLICATE", self._all[number].cli("CLUSTER", "MYID").strip())
        self._wait_for("cluster_state:ok")
        wait_until("the replicas are not ready", lambda: all(node.is_replicated() for node in self._all[3:]))
        return self

    def restart(self) -> None:
        """Kills a node that owns slots, and starts it again once its replica has taken its place."""
        self.restarts += 1
        lost = self._random.choice(list(self._primaries()))
        others = [node for node in self._all if node is not lost]
        killed_at = time.monotonic()
        lost.kill()
        wait_until("no replica took the place", lambda: sum("role:master" in node.cli("INFO", "replication") for node in others) == 3)
        lost.start()
        wait_until("the killed node does not come back", lost.is_replicated)
        # Each node has one replica only, and the address asks for one: what is written waits for the killed node.
        self.elections.append((killed_at, time.monotonic()))
        self._wait_for("cluster_state:ok")

    def _wait_for(self, fact: str) -> None:
        wait_until(f"the cluster does not reach {fact}", lambda: all(fact in node.cli("CLUSTER", "INFO") for node in self._all))

    def _nodes(self) -> Iterable[Node]:
        return self._all


KINDS: dict[str, Callable[[Path], Redis]] = {"server": Redis, "sentinel": Sentinels, "cluster": Cluster}


def wait_until(failure: str, is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        if time.monotonic() > end:
            sys.exit(f"error: {failure}")
        time.sleep(0.05)
