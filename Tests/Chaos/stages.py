"""Runs the stages of the pipeline and restarts each one that ends."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path
from typing import Any

RESTART_SECONDS = 0.2


class Stage:
    """Keeps a program running until `end` is called."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.kills = 0
        # The times of the kills, in seconds since 1970.
        self.killed_at: list[float] = []
        self._command, self._environment, self._log = command, environment, log
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._changed: subprocess.Popen[bytes] | None = None
        # The statuses with which the program ended without being killed, or asked to end.
        self.own_ends: list[int] = []

    def start(self) -> None:
        self._keeper.start()

    def kill(self) -> bool:
        """Kills the program with SIGKILL if it is running."""
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                return False
            self.kills += 1
            self.killed_at.append(time.time())
            os.kill(process.pid, signal.SIGKILL)
            return True

    def change(self, tools: Path) -> None:
        """Ends the program with SIGTERM, and goes on with the one of the same name in another folder."""
        with self._lock:
            self._command = [str(tools / Path(self._command[0]).name), *self._command[1:]]
            self._changed = self._process
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()

    def end(self, seconds: float = 40) -> int | None:
        """Ends the program with SIGTERM. Returns its status, or None if it had to be killed."""
        self._ending.set()
        with self._lock:
            process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                return None
        self._keeper.join(5)
        return process.returncode if process is not None else None

    def _keep(self) -> None:
        while not self._ending.is_set():
            with self._log.open("ab") as log, self._lock:
                self._process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", "--", *self._command],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env=self._environment,
                    start_new_session=True,
                )  # fmt: skip
            status = self._process.wait()
            was_asked = self._process is self._changed and status == 0
            if status != -signal.SIGKILL and not was_asked and not self._ending.is_set():
                self.own_ends.append(status)
            if not self._ending.is_set():
                time.sleep(RESTART_SECONDS)


def queue_stats(tools: Path, environment: dict[str, str]) -> list[dict[str, Any]]:
    """Returns a line for each queue. While Redis does not answer, it is one of a queue that is not empty."""
    run = subprocess.run([str(tools / "ev-queue"), "stats"], env=environment, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        return [{"queue": "?", "events": 1, "dead": 0}]
    return [json.loads(line) for line in run.stdout.splitlines()]


def queued(tools: Path, environment: dict[str, str], queue: str) -> list[dict[str, Any]]:
    """Returns the events that are in a queue."""
    command = [str(tools / "ev-queue"), "peek", queue, "-n", "0"]
    return [json.loads(line) for line in subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout.splitlines()]


def kill_one(stages: list[Stage], chance: random.Random) -> bool:
    """Kills a stage by chance. One that is not running cannot be killed, so another one is chosen. Returns whether one was killed."""
    victims = list(stages)
    chance.shuffle(victims)
    return any(stage.kill() for stage in victims)


def pipeline(tools: Path, environment: dict[str, str], logs: Path, workers: int) -> list[Stage]:
    """Returns the stages: updates → gated → media → fetched → send. Each name is a queue; slow stages have several workers."""
    short = ["--lease", "5s"]

    def stage(name: str, number: int, *arguments: str) -> Stage:
        # Each worker has its own state folder, as if it ran on its own machine.
        state = logs.parent / f"state-{number}"
        return Stage(
            f"{name}.{number}", [str(tools / name), *arguments], environment | {"TGPIPE_STATE": str(state)},
            logs / f"{name}.{number}.log",
        )  # fmt: skip

    stages = [
        stage("tg-listen", 0, "--bot", "--to", "queue:updates"),
        stage("tg-gate", 0, "--from", "queue:updates", "--to", "queue:gated", *short),
        stage(
            "ev-route", 0, "--from", "queue:gated", "-o", "commands.media.#=queue:media", "-o", "commands.telegram.#=queue:send",
            *short,
        ),  # fmt: skip
    ]
    for number in range(workers):
        stages += [
            stage("media-fetch", number, "--from", "queue:media", "--to", "queue:fetched", "--allow-private", *short),
            stage("blob-put", number, "--from", "queue:fetched", "--to", "queue:send", "--create-bucket", *short),
            stage("tg-send", number, "--from", "queue:send", "--to", "queue:sent", "--no-pacing", *short),
        ]
    return stages


def say_number(tools: Path, environment: dict[str, str], chance: random.Random, chat_id: int, number: int) -> None:
    """Lets the bot say a number to somebody. While Redis is away it is repeated: a job is put into the queue once."""
    event = {
        "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)), "type": "commands.telegram.send",
        "correlation_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "payload": {"chat_id": chat_id, "text": f"note {number}"},
    }  # fmt: skip
    command = [str(tools / "ev-queue"), "push", "send"]
    while subprocess.run(command, input=json.dumps(event).encode(), env=environment, capture_output=True, check=False).returncode:
        time.sleep(0.2)
