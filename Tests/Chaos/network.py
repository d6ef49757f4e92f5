"""Makes machines of network namespaces: each has an address on a common bridge, its own view of the disk and its own clock."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from redis_servers import Place

NET = "10.77.0"
NEW_NETWORK = 0x40000000
NO_SUCH_NAME = 3


def compiler() -> str | None:
    """Returns the program that compiles C."""
    return next((path for name in ("cc", "gcc", "clang", "/opt/swift/usr/bin/clang") if (path := shutil.which(name))), None)


def what_is_missing() -> list[str]:
    """Returns what machines need and this one lacks."""
    missing = [] if os.geteuid() == 0 else ["root's rights"]
    missing += [f"the program {name}" for name in ("ip", "unshare", "mount") if shutil.which(name) is None]
    if compiler() is None:
        missing.append("a compiler of C (cc)")
    return missing


class Machine:
    """A network namespace. Its programs see `folder` at the place of the common folder, and nothing of the other machines' there."""

    def __init__(self, name: str, number: int, network: Network) -> None:
        self.name, self._network = name, network
        self.namespace = f"{network.prefix}-{name}"
        self.address = f"{NET}.{number}"
        self._port = f"port{number}"
        self.folder = network.folder / "machines" / name
        self.folder.mkdir(parents=True)
        self._clock = self.folder / "clock"
        self._redis_clock: dict[str, str] = {}
        self.set_clock(0)
        (self.folder / "resolv.conf").write_text(f"nameserver {NET}.1\noptions timeout:1 attempts:2\n")
        _ip("netns", "add", self.namespace)
        switch = network.switch
        _ip("-n", switch, "link", "add", self._port, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        _ip("-n", switch, "link", "set", self._port, "master", "bridge", "up")
        for words in (
            ["link", "set", "lo", "up"], ["addr", "add", f"{self.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"],
        ):  # fmt: skip
            _ip("-n", self.namespace, *words)
        if number > 1:
            _ip("-n", self.namespace, "route", "add", "default", "via", f"{NET}.1")

    @property
    def place(self) -> Place:
        """The machine for servers whose folders are the common ones."""
        return Place(self.address, ("ip", "netns", "exec", self.namespace), self._redis_clock)

    def set_redis_clock(self, seconds: int) -> None:
        """Gives the servers of Redis that are started here a clock that is wrong by this much from the beginning."""
        path = self.folder / "redis-clock"
        path.write_text(f"{seconds:+d}\n")
        self._redis_clock = {"LD_PRELOAD": str(self._network.clock), "TGPIPE_CLOCK_FILE": str(path)}

    def command(self, own: Path) -> list[str]:
        """Returns what stands before a command so that it sees its machine's folder at `own`, and the machine's name and name server."""
        script = 'mount --bind "$1/resolv.conf" /etc/resolv.conf && hostname "$2" && mount --bind "$1" "$3" && shift 3 && exec "$@"'
        words = [*self.place.command, "unshare", "--mount", "--uts", "sh", "-c", script, "sh", str(self.folder), self.name, str(own)]
        return [*words, "env", f"LD_PRELOAD={self._network.clock}", f"TGPIPE_CLOCK_FILE={own / 'clock'}"]

    def set_clock(self, seconds: int) -> None:
        """Sets the clock of the machine's programs ahead, or behind with a negative number."""
        self._clock.write_text(f"{seconds:+d}\n")

    def cut(self, seconds: float) -> None:
        """Unplugs the machine from the network for this time."""
        _ip("-n", self._network.switch, "link", "set", self._port, "down")
        time.sleep(seconds)
        _ip("-n", self._network.switch, "link", "set", self._port, "up")

    def remove(self) -> None:
        """Ends what still runs in the namespace, and removes it."""
        _remove(self.namespace)


class Network:
    """A bridge with the machine `data`, which this process becomes a part of, and further ones.

    Enter it before there are other threads: a thread stays in the namespace in which it was started.
    """

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder, self._names = folder, names
        self.prefix = f"tgpipe-{os.getpid()}"
        self.switch = f"{self.prefix}-switch"
        self.machines: dict[str, Machine] = {}
        # The library that gives programs the clock of their machine.
        self.clock = folder / "clock.so"

    def __enter__(self) -> Network:
        _remove_old()
        source = Path(__file__).with_name("clock.c")
        subprocess.run([compiler() or "cc", "-shared", "-fPIC", "-O1", "-o", str(self.clock), str(source)], check=True)
        _ip("netns", "add", self.switch)
        _ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", self.switch, "link", "set", "bridge", "up")
        for number, name in enumerate(["data", *self._names], 1):
            self.machines[name] = Machine(name, number, self)
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        data = os.open(f"/run/netns/{self.machines['data'].namespace}", os.O_RDONLY | os.O_CLOEXEC)
        _enter(data)
        os.close(data)
        threading.Thread(target=_answer_names, args=(self.address,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        _enter(self._home)
        os.close(self._home)
        for machine in self.machines.values():
            machine.remove()
        subprocess.run(["ip", "netns", "delete", self.switch], check=False)

    @property
    def address(self) -> str:
        """The address of the machine `data`."""
        return f"{NET}.1"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _enter(descriptor: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, NEW_NETWORK) != 0:
        sys.exit(f"error: unable to enter a network namespace: {os.strerror(ctypes.get_errno())}")


def _remove_old() -> None:
    """Removes the namespaces of runs that were killed."""
    listing = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        name = line.split()[0] if line.split() else ""
        start, _, rest = name.partition("-")
        pid = rest.partition("-")[0]
        if start == "tgpipe" and pid.isdigit() and not Path(f"/proc/{pid}").exists():
            _remove(name)


def _remove(namespace: str) -> None:
    """Ends what still runs in a namespace, and removes it."""
    listing = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False).stdout
    for pid in map(int, listing.split()):
        if pid != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    subprocess.run(["ip", "netns", "delete", namespace], check=False)


def _answer_names(address: str) -> None:
    """Is the name server of all machines: it knows no name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        while True:
            question, sender = server.recvfrom(512)
            if len(question) >= 12:
                # An answer (0x80) that recursion is available (0x80) and that there is no such name, without further sections.
                head = question[:2] + bytes([0x80 | question[2], 0x80 | NO_SUCH_NAME]) + question[4:6] + bytes(6)
                end = question.find(b"\0", 12) + 5
                server.sendto(head + question[12:end], sender)
