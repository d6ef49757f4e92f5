"""Check NDJSON envelopes against the JSON Schemas in schemas/: the envelope first, then the payload by its type.

    validate.py FILE-OR-FOLDER…     every line of the files, and of every file below the folders
    validate.py --self-check        the schemas themselves: examples must fit, and known mistakes must not

Prints `file:line: reason` for each line that does not fit. Exits with 1 if there was such a line, and with 2 if a file could not
be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry, Resource

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
# In these spaces only the toolkit's own types may occur: a name without a schema is a misspelling.
OWN_SPACES = ("events.", "commands.media.", "commands.telegram.")
SHOWN_OF_A_VALUE = 120


class Schemas:
    """Holds the validators of a folder of schemas."""

    def __init__(self, folder: Path = SCHEMAS) -> None:
        self.contents = {
            path.relative_to(folder).as_posix(): json.loads(path.read_text()) for path in sorted(folder.rglob("*.json"))
        }
        resources = [(content["$id"], Resource.from_contents(content)) for content in self.contents.values()]
        registry: Registry[Any] = Registry().with_resources(resources)
        self.payloads: dict[str, Draft7Validator] = {}
        for name, content in self.contents.items():
            Draft7Validator.check_schema(content)
            if "/" not in name:
                self.payloads[name.removesuffix(".json")] = Draft7Validator(content, registry=registry)
        self.envelope = self.payloads.pop("envelope")

    def fault(self, line: bytes) -> str | None:
        """Returns the reason why a line is not a valid envelope; None if it is one."""
        try:
            value = json.loads(line.decode(), object_pairs_hook=_unrepeated, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            return f"no JSON: {error}"
        return self.fault_of(value)

    def fault_of(self, value: Any) -> str | None:
        if error := best_match(self.envelope.iter_errors(value)):
            return _described(error, "envelope")
        kind, version = value["type"], value.get("version", 1)
        validator = self.payloads.get(kind)
        if validator is None:
            return f"no schema for the type {kind}" if kind.startswith(OWN_SPACES) else None
        if version != 1:
            return f"no schema for version {version} of {kind}"
        error = best_match(validator.iter_errors(value.get("payload", {})))
        return _described(error, f"payload of {kind}") if error else None


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known = dict(pairs)
    if len(known) < len(pairs):
        repeated = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {repeated!r} is repeated")
    return known


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _described(error: ValidationError, what: str) -> str:
    place = ".".join(str(part) for part in error.absolute_path)
    message = error.message if len(error.message) < 400 else f"{_shortened(error.instance)}: breaks {error.validator}"
    return f"{what}: {place}: {message}" if place else f"{what}: {message}"


def _shortened(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_OF_A_VALUE else text[:SHOWN_OF_A_VALUE] + "…"


def files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.is_file())
        else:
            yield path


def check(schemas: Schemas, paths: list[Path], need_some: bool) -> int:
    faults, types = 0, Counter[str]()
    for path in files(paths):
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                reason = schemas.fault(line)
                if reason is None:
                    types[json.loads(line)["type"]] += 1
                else:
                    faults += 1
                    print(f"{path}:{number}: {reason}")
    if need_some and not types:
        print("no envelopes were found: nothing was checked", file=sys.stderr)
        return 1
    for name, count in sorted(types.items()):
        print(f"{count:8} {name}", file=sys.stderr)
    print(f"{types.total()} envelopes fit their schemas, {faults} lines do not", file=sys.stderr)
    return 1 if faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Check NDJSON envelopes against the schemas.")
    parser.add_argument("paths", nargs="*", type=Path, metavar="FILE-OR-FOLDER")
    parser.add_argument("--need-some", action="store_true", help="fail when there are no envelopes at all")
    parser.add_argument("--self-check", action="store_true", help="check the schemas and their examples")
    arguments = parser.parse_args()
    if not arguments.paths and not arguments.self_check:
        parser.error("name a file or folder, or give --self-check")
    try:
        schemas = Schemas()
        if arguments.self_check:
            # Imported late: it needs this module.
            from self_check import check_schemas

            failures = check_schemas(schemas)
            for failure in failures:
                print(failure)
            if failures:
                return 1
        return check(schemas, arguments.paths, arguments.need_some) if arguments.paths else 0
    except OSError as error:
        print(f"validate.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
