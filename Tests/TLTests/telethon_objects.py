"""Prints random objects of every constructor and method that Telethon has.

    telethon_objects.py SCHEMA… [--count N] [--seed N]

If a schema is of another layer than Telethon's, only the constructors and methods that are the same in both are printed.

Each line holds the bytes that Telethon makes of an object, and the JSON that docs/tl.md specifies for it. Telethon's own code
decides how values are packed: the widths of integers, what is a date, and what is a flag. The codec is thus never checked against
itself. The schemas only give the name of a class in TL, and the type that an object in a field may have.
"""

from __future__ import annotations

import argparse
import base64
import inspect
import json
import random
import re
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from telethon.tl.alltlobjects import LAYER, tlobjects

# Blocks of the first bytes of an obfuscated connection: Telethon keeps them beside the messages.
NO_MESSAGES = re.compile(r"^Tls(Block|ClientHello)")
COMBINATOR = re.compile(r"^([\w.]+)#([0-9a-f]{8}) (.*)= ([^;]+);")
FIELD = re.compile(r"(\w+):(?:(\w+)\.(\d+)\?)?(\S+)")
TEXTS = ["", "a", "Hello", 'say "hi"\n\t\\', "\x00\x01\x1f\x7f", "Привет, мир", "漢字🙂é", "🇩🇪" * 40, "x" * 253, "y" * 254, "z" * 300]
SAFE = 2**53 - 1
NEVER = 99


class Plan:
    """A class of Telethon, and what goes into it."""

    def __init__(self, cls: Any, name: str, fields: dict[str, tuple[str | None, str]], result: str) -> None:
        self.cls = cls
        self.name = name
        self.result = result
        self.is_method = hasattr(cls, "resolve")
        self.source = inspect.getsource(cls._bytes)
        self.spelled = Plan.spelling(cls)
        self.types = {name: fields[spelled] for name, spelled in self.spelled.items()}
        self.together = [set(re.split(r", ", match)) for match in re.findall(r"'([\w, ]+) parameters must all", self.source)]
        self.depth = NEVER

    @staticmethod
    def spelling(cls: type) -> dict[str, str]:
        """Returns the names of the parameters in TL."""
        return {name: "self" if name == "is_self" else name.rstrip("_") for name in inspect.signature(cls).parameters}

    @staticmethod
    def fits(cls: type, fields: dict[str, tuple[str | None, str]]) -> bool:
        return set(Plan.spelling(cls).values()) == {name for name, (_, kind) in fields.items() if kind != "#"}

    def required(self) -> Iterable[str]:
        return (kind for flag, kind in self.types.values() if flag is None)


def load(paths: list[str]) -> dict[int, tuple[str, dict[str, tuple[str | None, str]], str]]:
    known = {}
    for path in paths:
        for line in Path(path).read_text().splitlines():
            if match := COMBINATOR.match(line):
                fields = {f[1]: (f"{f[2]}.{f[3]}" if f[2] else None, f[4]) for f in FIELD.finditer(match[3])}
                known[int(match[2], 16)] = (match[1], fields, match[4].strip())
    return known


def plans(paths: list[str]) -> list[Plan]:
    known = load(paths)
    is_own_layer = any(f"// LAYER {LAYER}\n" in Path(path).read_text() for path in paths)
    made = []
    for number, cls in sorted(tlobjects.items()):
        # Behind the friendlier ones of a few stand those made from the schema.
        cls = next(base for base in cls.__mro__ if base.__module__.startswith(("telethon.tl.types", "telethon.tl.functions")))
        if NO_MESSAGES.match(cls.__name__):
            continue
        # An optional field more does not change the id.
        if not is_own_layer and (number not in known or not Plan.fits(cls, known[number][1])):
            continue
        if number not in known:
            sys.exit(f"error: Telethon has {cls.__name__}, the schema has no {number:08x}")
        name, fields, result = known[number]
        words = cls.__module__.removeprefix("telethon.tl.").split(".")
        spelled = cls.__name__.removesuffix("Request") if words[0] == "functions" else cls.__name__
        own = ".".join([*words[1:], spelled])
        if own.lower() != name.replace("_", "").lower():
            sys.exit(f"error: {number:08x} is {own} here and {name} there")
        made.append(Plan(cls, name, fields, result))
    return made


class Filler:
    def __init__(self, all_plans: list[Plan], chance: random.Random) -> None:
        self.chance = chance
        self.methods = [plan for plan in all_plans if plan.is_method]
        self.by_type: dict[str, list[Plan]] = {}
        self.by_name = {plan.name: plan for plan in all_plans if not plan.is_method}
        for plan in all_plans:
            if not plan.is_method:
                self.by_type.setdefault(plan.result, []).append(plan)
        self.measure(all_plans)

    def measure(self, all_plans: list[Plan]) -> None:
        """Computes the least depth of each object: 0 if it needs no other object."""
        changed = True
        while changed:
            changed = False
            for plan in all_plans:
                depth = max((self.least(kind) for kind in plan.required()), default=0)
                if depth < plan.depth:
                    plan.depth, changed = depth, True

    def least(self, kind: str) -> int:
        if kind == "!X":
            return 1
        if options := self.by_type.get(kind):
            return min(NEVER, 1 + min(plan.depth for plan in options))
        # No object can have a type whose constructors all belong to another layer.
        return NEVER if re.match(r"(\w+\.)?[A-Z]", kind) and kind != "Bool" and not kind.startswith("Vector") else 0

    def object(self, plan: Plan, share: float, depth: int = 0) -> tuple[Any, dict[str, Any]]:
        """An object of Telethon's, and its JSON; `share` of the optional fields is there."""
        values: dict[str, Any] = {}
        shown: dict[str, Any] = {"_": plan.name}
        group: dict[str, bool] = {}
        for names in plan.together:
            can_be = all(self.least(plan.types[name][1]) < NEVER for name in names)
            group |= dict.fromkeys(names, can_be and self.chance.random() < share)
        for name, (flag, kind) in plan.types.items():
            is_there = (flag is None or group.get(name, self.chance.random() < share)) and self.least(kind) < NEVER
            if not is_there or (depth > 3 and flag is not None and name not in group and self.least(kind) > 0):
                values[name] = None
                continue
            values[name], shown[plan.spelled[name]] = self.value(plan, name, kind, share, depth)
        made = plan.cls(**values)
        return made, shown

    def value(self, plan: Plan, name: str, kind: str, share: float, depth: int) -> tuple[Any, Any]:
        if match := re.fullmatch(r"[vV]ector<(.*)>", kind):
            count = self.chance.choice([0, 1, 1, 2, 3]) if depth < 3 else self.chance.choice([0, 1])
            if self.least(match[1]) >= NEVER:
                count = 0
            pairs = [self.value(plan, name, match[1], share, depth + 1) for _ in range(count)]
            return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        if kind == "!X":
            options = self.methods
        elif kind in self.by_type:
            options = [plan for plan in self.by_type[kind] if plan.depth < NEVER]
        elif kind in self.by_name:
            options = [self.by_name[kind]]
        else:
            return self.simple(plan, name)
        if depth >= 2:
            least = min(plan.depth for plan in options)
            options = [plan for plan in options if plan.depth == least]
        return self.object(self.chance.choice(options), share if depth < 2 else share / 3, depth + 1)

    def simple(self, plan: Plan, name: str) -> tuple[Any, Any]:
        """By how Telethon packs it."""
        source = plan.source
        own = rf"(?:self\.{name}\b|x\) for x in self\.{name}\b|x for x in self\.{name}\b)"
        if match := re.search(rf"struct\.pack\('<(\w)', (?:self\.{name}\)|x\) for x in self\.{name}\b)", source):
            return self.number(match[1])
        if re.search(rf"serialize_datetime\({own}", source):
            seconds = self.chance.choice([0, 1, 2**31 - 1, self.chance.getrandbits(31)])
            return datetime.fromtimestamp(seconds, timezone.utc), seconds
        if match := re.search(rf"self\.{name}\.to_bytes\((\d+)", source):
            count = int(match[1])
            raw = self.chance.choice([bytes(count), b"\xff" * count, self.chance.randbytes(count)])
            return int.from_bytes(raw, "little", signed=True), raw.hex()
        if re.search(rf"b'\\xb5ur\\x99' if (?:self\.{name}|x) else", source):
            value = self.chance.random() < 0.5
            return value, value
        if re.search(rf"serialize_bytes\((?:self\.{name}\)|x\) for x in self\.{name}\b)", source):
            annotation = str(inspect.signature(plan.cls).parameters[name].annotation)
            if "bytes" in annotation or plan.name.startswith("msgs_"):
                raw = self.chance.randbytes(self.chance.choice([0, 1, 2, 3, 4, 16, 253, 254, 255, 600]))
                return raw, base64.b64encode(raw).decode()
            text = self.chance.choice(TEXTS)
            return text, text
        return True, True

    def number(self, code: str) -> tuple[Any, Any]:
        if code == "d":
            value = self.chance.choice([0.0, -0.0, 1.0, -1.5, 1e300, 5e-324, 0.1, self.chance.uniform(-180, 180)])
            return value, value
        if code == "I":
            value = self.chance.getrandbits(31)
            return value, value
        bits = {"i": 31, "q": 63}[code]
        choices = [0, 1, -1, 2**bits - 1, -(2**bits), self.chance.getrandbits(bits), -self.chance.getrandbits(bits)]
        if code == "q":
            choices += [SAFE, SAFE + 1, -SAFE, -SAFE - 1, self.chance.getrandbits(40)]
        value = self.chance.choice(choices)
        return value, value if -SAFE <= value <= SAFE else str(value)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("schemas", nargs="+")
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    all_plans = plans(options.schemas)
    filler = Filler(all_plans, random.Random(options.seed))
    all_plans = [plan for plan in all_plans if plan.depth < NEVER]
    filler.methods = [plan for plan in filler.methods if plan.depth < NEVER]
    print(json.dumps({"layer": LAYER, "combinators": len(all_plans)}))
    for plan in all_plans:
        for number in range(options.count):
            share = [0.0, 1.0, 0.5][number] if number < 3 else filler.chance.random()
            made, shown = filler.object(plan, share)
            raw = bytes(made)
            line = {"name": plan.name, "is_method": plan.is_method, "bytes": base64.b64encode(raw).decode(), "json": shown}
            print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main()
