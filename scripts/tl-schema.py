#!/usr/bin/env python3
"""Generates the TL schemas that are built into the tools: tl-schema.py [--check]

Telegram publishes the schema of its API, and the source distributions of its clients contain it. This script downloads
the distributions listed below with pip. It writes the schemas in one form: one combinator per line, without comments,
with ids of eight digits. With `--check` it writes nothing, and fails if the files in the repository differ.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "Sources" / "Telegram" / "TLSchemas"
LAYERS = {229: "kurigram==2.2.26", 201: "kurigram==2.2.1", 181: "hydrogram==0.2.0"}
FOLDER = "compiler/api/source"
COMBINATOR = re.compile(r"^(?P<comment>//+ *)?(?P<name>[A-Za-z][\w.]*)#(?P<id>[0-9a-f]{1,8}) (?P<rest>[^;]*= *[\w.<> ]+;)")

# The codec implements the first set itself. The second set contains frames around messages, which the protocol code reads
# itself; the message of a container has the same name as a chat message.
KNOWN_ANYWAY = {"boolFalse", "boolTrue", "vector"}
FRAMES = {"message", "msg_container", "msg_copy"}
# Fields that these sources declare as strings, although they hold binary data.
CORRECTED = {
    "gzip_packed": "packed_data:bytes = Object;",
    "msgs_state_info": "req_msg_id:long info:bytes = MsgsStateInfo;",
    "msgs_all_info": "msg_ids:Vector<long> info:bytes = MsgsAllInfo;",
}

ORIGIN = """\
// {title}
//
// Published by Telegram (https://core.telegram.org/schema, https://core.telegram.org/mtproto). Taken by scripts/tl-schema.py from
// {source}.
"""

PIECES = """\
// Made by scripts/tl-schema.py: the schemas as they are in data/.
//
// Their digests are here so that a change of them is built.
{digests}
#include "TLSchemas.h"

#define SCHEMA(NAME, FILE)                                                                                              \\
    __asm__(".pushsection .rodata\\n.global tl_schema_" NAME "\\ntl_schema_" NAME ":\\n.incbin \\"" FILE "\\"\\n"               \\
            ".global tl_schema_" NAME "_end\\ntl_schema_" NAME "_end:\\n.byte 0\\n.popsection\\n")

{pieces}
"""


def fetch(requirement: str, folder: Path) -> dict[str, str]:
    """Returns the contents of the .tl files in a source distribution, by file name."""
    place = folder / requirement.replace("==", "-")
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(place), requirement], check=True)
    (archive,) = place.glob("*.tar.gz")
    files = {}
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            inside = member.name.split("/", 1)[-1]
            stream = tar.extractfile(member) if inside.startswith(f"{FOLDER}/") and inside.endswith(".tl") else None
            if stream is not None:
                files[Path(inside).name] = stream.read().decode()
    return files


def combinators(text: str, commented: bool) -> tuple[list[str], list[str]]:
    """Returns the constructors and the methods of a schema.

    With `commented`, it includes the combinators in comments, which the source's own code generator leaves to
    hand-written code.
    """
    types: list[str] = []
    functions: list[str] = []
    section = types
    in_use = {match["name"] for match in map(COMBINATOR.match, text.splitlines()) if match and not match["comment"]}
    for line in text.splitlines():
        if line.startswith("---"):
            section = functions if "functions" in line else types
            continue
        match = COMBINATOR.match(line)
        if match is None:
            if line.strip() and not line.startswith("//"):
                sys.exit(f"error: unable to parse this line: {line}")
            continue
        name = match["name"]
        if match["comment"] and (not commented or name in KNOWN_ANYWAY | FRAMES | in_use):
            continue
        rest = CORRECTED.get(name, match["rest"])
        section.append(f"{name}#{int(match['id'], 16):08x} {rest}")
    return types, functions


def schema(title: str, source: str, pieces: list[tuple[list[str], list[str]]], layer: int | None = None) -> str:
    types = [line for piece in pieces for line in piece[0]]
    functions = [line for piece in pieces for line in piece[1]]
    lines = [ORIGIN.format(title=title, source=source), *types, "", "---functions---", "", *functions]
    if layer is not None:
        lines += ["", f"// LAYER {layer}"]
    return "\n".join(lines) + "\n"


def make() -> dict[Path, str]:
    made: dict[Path, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for layer, requirement in LAYERS.items():
            files = fetch(requirement, Path(folder))
            if f"// LAYER {layer}" not in files["main_api.tl"]:
                sys.exit(f"error: {requirement} does not contain layer {layer}")
            source = f"the source distribution of {requirement} on PyPI, {FOLDER}/"
            api = combinators(files["main_api.tl"], commented=False)
            title = f"The schema of Telegram's API, layer {layer}."
            made[SOURCES / "data" / f"{layer}.tl"] = schema(title, f"{source}main_api.tl", [api], layer)
            if layer == max(LAYERS):
                # Combinators in comments of the API's file belong to every layer.
                common = [line for line in combinators(files["main_api.tl"], commented=True)[0] if line not in api[0]]
                protocol: list[tuple[list[str], list[str]]] = [(common, [])]
                protocol += [combinators(files[name], commented=True) for name in ("auth_key.tl", "sys_msgs.tl")]
                title = "The schema of MTProto: keys, service messages, and what every layer has."
                made[SOURCES / "data" / "mtproto.tl"] = schema(title, f"{source}{{auth_key,sys_msgs,main_api}}.tl", protocol)
    digests = "".join(f"// {path.name}: {hashlib.sha256(text.encode()).hexdigest()}\n" for path, text in sorted(made.items()))
    pieces = "\n".join(f'SCHEMA("{path.stem}", "{path.name}");' for path in sorted(made))
    made[SOURCES / "schemas.c"] = PIECES.format(digests=digests, pieces=pieces)
    return made


def main() -> None:
    made = make()
    if "--check" in sys.argv[1:]:
        other = [path.name for path, text in made.items() if not path.exists() or path.read_text() != text]
        sys.exit(f"error: these files differ from the published schemas: {', '.join(other)}" if other else 0)
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path.relative_to(ROOT), len(text))


if __name__ == "__main__":
    main()
