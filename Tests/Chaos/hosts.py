"""Runs the bot on three machines (network namespaces) while servers, the network and a clock fail (see README.md)."""

from __future__ import annotations

import argparse
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "demo"))

from bot import Bot  # noqa: E402
from chat import Person, wait_until  # noqa: E402
from faults import RefusingProxy, Schedule  # noqa: E402
from hops import run_hops  # noqa: E402
from network import Machine, Network, what_is_missing  # noqa: E402
from probe import Probe  # noqa: E402
from redis_servers import Cluster, Redis, Sentinels  # noqa: E402
from servers import S3  # noqa: E402
from sides import run_sides  # noqa: E402
from stages import Stage, kill_one, queue_stats, say_number  # noqa: E402
from verdict import Answers, Verdict, files_below, judge_notes, missed_answers, parse, run_folder  # noqa: E402

BUCKET = "hosts"
REST_SECONDS = 400
SWEEP_SECONDS = 150
# What a fail-over may cost beyond the election.
MOST_EXTRA_SECONDS = 2
KINDS: dict[str, type[Sentinels] | type[Cluster]] = {"sentinel": Sentinels, "cluster": Cluster}


class Fleet(Bot):
    """The bot on three machines: one answers, two fetch and store. Redis is spread over them; store, site and Telegram are on a fourth."""

    roles: ClassVar[dict[str, str]] = {"front": "front", "media-1": "media", "media-2": "media"}

    def __init__(self, options: argparse.Namespace, folder: Path, network: Network) -> None:
        super().__init__(options.tools, folder)
        self._options, self._network = options, network
        self.sources = options.sources
        self.work = folder / "work"
        self.work.mkdir()
        self.proxies: list[RefusingProxy] = []
        # The front sends, too.
        self.senders: list[Stage] = []

    def machine(self, name: str) -> Machine:
        return self._network.machines[name]

    @property
    def machines(self) -> list[Machine]:
        return [self.machine(name) for name in self.roles]

    def state(self, machine: str) -> Path:
        # Each machine sees its own folder there.
        return self.work / "state"

    def own_state(self, machine: str) -> Path:
        """Returns the same folder as this process sees it."""
        return self.machine(machine).folder / "state"

    def start_senders(self) -> None:
        """Lets further machines send what the bot says."""
        for name in list(self.roles)[1 : self._options.senders]:
            words = [str(self.tools / "tg-send"), "--from", "queue:send", "--no-pacing", "--lease", "5s"]
            stage = Stage(f"send.{name}", [*self._command(name), *words], self._environment(name), self.folder / f"send-{name}.log")
            stage.start()
            self.senders.append(stage)

    def __exit__(self, *details: object) -> None:
        self.sender_statuses = [stage.end() for stage in self.senders]
        super().__exit__(*details)

    def missed_answers(self) -> Counter[str]:
        return missed_answers(list(self.folder.glob("*.log")))

    def left_over(self) -> list[str]:
        folders = [self.own_state(name) / "media" / "fetch" for name in self.roles]
        return [str(path.relative_to(self.folder)) for folder in folders for path in files_below(folder)]

    def _make_sources(self, www: Path) -> None:
        self.clip_bytes = self._make(www / "clip.mp4", "-pix_fmt", "yuv420p", "-movflags", "+faststart", sound=True)
        chance = random.Random(self._options.seed)
        clip = (www / "clip.mp4").read_bytes()
        for number in range(self.sources):
            # A box at the end that players skip makes each file different.
            rest = chance.randbytes(chance.randint(10_000, 400_000))
            (www / f"source-{number}.mp4").write_bytes(clip + (len(rest) + 8).to_bytes(4, "big") + b"free" + rest)

    def _make_redis(self) -> Redis:
        self.s3 = self._stack.enter_context(S3(self.folder))
        self._store_url = self._within_reach(self.s3.url)
        if self._options.redis_clock:
            # The primary server begins on this machine, so that each fail-over from it and to it is a jump of the clock.
            self.machine("front").set_redis_clock(self._options.redis_clock)
        return KINDS[self._options.redis](self.folder, [machine.place for machine in self.machines])

    def _within_reach(self, url: str) -> str:
        proxy = RefusingProxy(int(url.rsplit(":", 1)[1]), self._network.address)
        self.proxies.append(proxy)
        return f"http://{self._network.address}:{proxy.port}"

    def _command(self, machine: str) -> list[str]:
        return self.machine(machine).command(self.work)

    def _environment(self, machine: str) -> dict[str, str]:
        environment = super()._environment(machine) | {
            "TGPIPE_STORE": f"s3://{BUCKET}", "TGPIPE_S3_ENDPOINT": self._store_url, "AWS_ACCESS_KEY_ID": S3.access_key,
            "AWS_SECRET_ACCESS_KEY": S3.secret_key, "AWS_REGION": S3.region, "BLOB_PUT_OPTIONS": "--create-bucket",
            "MEDIA_TURNS_OPTIONS": self._options.turns,
        }  # fmt: skip
        if self._options.to_store:
            environment["MEDIA_FETCH_OPTIONS"] += " --to-store --create-bucket"
        return environment


class Requests:
    """People ask for things of all kinds while faults strike, one after the other."""

    def __init__(self, options: argparse.Namespace, fleet: Fleet) -> None:
        self.options, self.fleet = options, fleet
        self.random = random.Random(options.seed)
        self.people = [Person(1000 + number, f"User {number}", f"user{number}") for number in range(options.users)]
        self.questions: dict[int, set[int]] = {person.id: set() for person in self.people}
        # Those of them that are answered in words.
        self.spoken: dict[int, set[int]] = {person.id: set() for person in self.people}
        self.kinds: dict[str, int] = {}
        # The numbers that the bot says to each person, who must get them in order.
        self.notes: Counter[int] = Counter()
        self.kills = 0
        self.faults: list[tuple[float, str]] = []
        self.verdict = Verdict()

    def run(self) -> Verdict:
        self.fleet.bless(self.people)
        self.fleet.start_senders()
        with Probe(self.options.tools, self.fleet) as probe:
            self.started = time.monotonic()
            asking = threading.Thread(target=self._ask_all)
            asking.start()
            self._strike_all()
            asking.join()
            print(f"all asked after {time.monotonic() - self.started:.0f} s; waiting for the last answers", flush=True)
            self.is_at_rest = wait_until(self._is_at_rest, REST_SECONDS)
            self.seconds = time.monotonic() - self.started
            wait_until(lambda: not self.fleet.left_over(), SWEEP_SECONDS)
        self._judge(probe)
        return self.verdict

    def _ask_all(self) -> None:
        schedule = Schedule(self.options.seed, self.options.seconds)
        schedule.add(self.options.requests, "somebody asks", self._ask)
        schedule.add(self.options.notes, "the bot says a number", self._note)
        if self.fleet.senders:
            schedule.add(self.options.sender_kills, "a tg-send is killed", self._kill_sender)
        schedule.run(is_over=lambda: False)

    def _kill_sender(self) -> None:
        self.kills += kill_one(self.fleet.senders, self.random)

    def _note(self) -> None:
        person = self.random.choice(self.people)
        self.notes[person.id] += 1
        say_number(self.options.tools, self._environment(), self.random, person.id, self.notes[person.id])

    def _ask(self) -> None:
        person, site = self.random.choice(self.people), self.fleet.site
        source = f"{site}/source-{self.random.randrange(self.fleet.sources)}.mp4"
        kind = self.random.choices(
            ["video", "bare link", "sound", "page", "missing", "whoami", "help"], [50, 15, 8, 4, 5, 9, 9]
        )[0]  # fmt: skip
        text = {
            "video": f".vdl {source}", "bare link": source, "sound": f".adl {source}", "page": f".vdl {site}/page/clip.mp4",
            "missing": f".vdl {site}/status/404?{self.random.random()}", "whoami": ".whoami", "help": "/help",
        }[kind]  # fmt: skip
        question = self.fleet.telegram.say(person, text)["message_id"]
        self.questions[person.id].add(question)
        if kind in ("whoami", "help", "missing"):
            self.spoken[person.id].add(question)
        self.kinds[kind] = self.kinds.get(kind, 0) + 1

    # The faults.

    def _strike_all(self) -> None:
        options, chance = self.options, self.random
        faults: list[tuple[str, Callable[[], None]]] = []
        faults += [("a primary server of Redis is killed", self.fleet.redis.restart)] * options.redis_restarts
        # In turn, so that enough faults concern each machine. The front, which all depend on, is the first to be cut off.
        machines = list(self.fleet.machines)
        for number in range(options.cuts):
            machine = machines[number % len(machines)]
            faults.append((f"{machine.name} is cut off for {options.cut_seconds:g} s", partial(machine.cut, options.cut_seconds)))
        first = chance.randrange(len(machines))
        for number in range(options.clocks):
            machine, skew = machines[(first + number) % len(machines)], chance.choice([-3600, 3600])
            faults.append((f"the clock of {machine.name} is {skew:+d} s off", partial(machine.set_clock, skew)))
        chance.shuffle(faults)
        pause = max(2, (options.seconds - options.cuts * options.cut_seconds) / (len(faults) + 1))
        for what, strike in faults:
            time.sleep(pause)
            at = time.monotonic() - self.started
            print(f"{at:6.0f} s  {what}", flush=True)
            strike()
            self.faults.append((at, what))

    def _is_at_rest(self) -> bool:
        time.sleep(0.5)
        return self.fleet.telegram.all_taken() and not self._depths()

    def _depths(self) -> dict[str, int]:
        lines = queue_stats(self.options.tools, self._environment())
        return {line["queue"]: line["events"] for line in lines if line["queue"] != "sent" and line["events"]}

    def _environment(self) -> dict[str, str]:
        state = self.fleet.folder / "state-judge"
        return os.environ | {"TGPIPE_REDIS": self.fleet.redis.address, "TGPIPE_STATE": str(state), "TGPIPE_LOG": "error:json"}

    # The checks at the end.

    def _judge(self, probe: Probe) -> None:
        verdict, fleet = self.verdict, self.fleet
        asked = sum(len(ids) for ids in self.questions.values())
        print(f"{asked} requests over {len(fleet.roles)} machines in {self.seconds:.0f} s: {dict(sorted(self.kinds.items()))}")
        wanted = self.options.redis_restarts
        verdict.check(fleet.redis.restarts == wanted, f"{fleet.redis.restarts} of {wanted} primary servers killed")
        verdict.check(asked == self.options.requests, f"{asked} requests, {fleet.redis.restarts} primary servers killed, {len(self.faults)} faults")
        verdict.check(self.is_at_rest, f"all queues are empty at the end {self._depths() or ''}")
        answers = Answers.of(fleet.telegram, self.people, self.questions, self.spoken)
        answers.judge(
            verdict, asked, fleet.telegram, self.kinds.get("missing", 0), fleet.missed_answers(), fleet.redis.hasty_elections()
        )
        if fleet.senders:
            verdict.check(self.kills > 0 or not self.options.sender_kills, f"{1 + len(fleet.senders)} machines send, {self.kills} kills of tg-send")
        judge_notes(verdict, fleet.telegram, self.people, self.notes, fleet.missed_answers())
        for name, seconds in probe.costs(fleet.redis.elections):
            verdict.check(seconds <= MOST_EXTRA_SECONDS, f"{name}, and events went on {seconds:.2f} s after it")
        lost, doubles, count = probe.tally()
        verdict.check(not lost and not doubles, f"{count} events of the probe, {lost} lost, {doubles} twice")
        bad = fleet.s3.bad_objects(BUCKET)
        verdict.check(not bad, f"{fleet.s3.count(BUCKET)} objects, none of them partial {bad or ''}")
        wait_until(lambda: not fleet.redis.locks(), 60)
        locks = fleet.redis.locks()
        verdict.check(not locks, f"no lock is held {locks[:3] or ''}")
        turns = fleet.redis.turns()
        verdict.check(not turns, f"no turn is taken {turns or ''}")
        left = fleet.left_over()
        verdict.check(not left, f"no file of a fetch is left on any machine {left[:5] or ''}")
        dead = [line for line in queue_stats(self.options.tools, self._environment()) if line.get("dead")]
        verdict.check(not dead, f"no event became a dead letter {dead or ''}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="A short run: --requests 150 --redis-restarts 1 --cut-seconds 15 --seconds 90")
    parser.add_argument("--tools", type=Path, default=Path(os.environ.get("TGPIPE_BIN", ROOT / ".build" / "release")))
    parser.add_argument("--redis", choices=KINDS, default="sentinel", help="a primary server with two replicas, or a cluster of six nodes")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--sources", type=int, default=150)
    parser.add_argument("--users", type=int, default=30)
    parser.add_argument("--redis-restarts", type=int, help="how often a primary server is killed; default: 5, or 2 in a cluster")
    parser.add_argument("--cuts", type=int, default=1, help="how often a machine is cut off the network")
    parser.add_argument("--cut-seconds", type=float, default=60, help="for which it is cut off")
    parser.add_argument("--clocks", type=int, default=1, help="how often the clock of a machine goes wrong by an hour")
    parser.add_argument("--seconds", type=float, default=400, help="in which all is asked and fails")
    parser.add_argument("--senders", type=int, choices=(1, 2, 3), default=2, help="machines that send, the front among them")
    parser.add_argument("--sender-kills", type=int, default=6, help="how often a tg-send of another machine is killed")
    parser.add_argument("--notes", type=int, default=200, help="numbers that the bot says, of which each person's must arrive in order")
    parser.add_argument("--redis-clock", type=int, default=0, metavar="SECONDS", help="by which the clock of one server of Redis is wrong")
    parser.add_argument("--turns", default="--per-user 100", help="further arguments of media-turns")
    parser.add_argument("--to-store", action="store_true", help="media-fetch puts files into the store itself")
    parser.add_argument("--events", type=int, metavar="N", help="instead, push N events on one machine, and work on them on the two others")
    parser.add_argument("--sides", action="store_true", help="instead, cut the primary server off while both sides of the network write")
    parser.add_argument("--patience", type=float, default=3600, help="the most seconds that --events may take")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", action="store_true", help="leave the folder with its logs")
    options = parse(parser)
    missing = what_is_missing()
    if missing:
        print(f"hosts: this needs {', '.join(missing)}", file=sys.stderr)
        return 69
    options.tools = options.tools.resolve()
    if options.redis_restarts is None:
        options.redis_restarts = 5 if options.redis == "sentinel" else 2
    print(f"hosts: seed {options.seed}", flush=True)
    with run_folder("hosts", options.keep) as folder, Network(folder, list(Fleet.roles)) as network:
        if options.sides:
            verdict = run_sides(options, folder, network)
        elif options.events:
            verdict = run_hops(options, folder, network)
        else:
            with Fleet(options, folder, network) as fleet:
                verdict = Requests(options, fleet).run()
            statuses = fleet.statuses + fleet.sender_statuses
            verdict.check(set(statuses) == {0}, f"asked to, the bot ends on each machine {statuses}")
    verdict.show()
    return 0 if verdict.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
