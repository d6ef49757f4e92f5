#!/usr/bin/env python3
"""Checks the architecture of the package against its source code.

    swift package dump-package | check-modules.py [--update]

With --update, it first rewrites the block ```modules of docs/architecture.md from Package.swift. It fails, with one
line for each fault, unless all of this is true:

- A target imports exactly the modules that Package.swift lists as its dependencies.
- Exactly one Swift module imports each module below Sources/C, apart from those that only other C modules use.
- Only Options and the tools import ArgumentParser.
- No target depends on one from a higher layer; docs/architecture.md lists the layers in a fenced block
  that starts with ```layers, with the lowest layer last.
- docs/architecture.md lists the dependencies of each library in its block ```modules, and they are those of Package.swift.
- Every file that docs/architecture.md names exists.
- No declaration in Sources is public or open: one package needs no more than `package`. A public import is left to the
  files with a retroactive conformance, for which the compiler demands it.
- No Swift file has more than 450 lines.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
MAX_LINES = 450
PUBLIC = re.compile(r"^[ \t]*(?:@[\w()]+ +)*(?:[a-z()]+ +)*?(?:public|open) +(?!\{)(\w+)", re.M)
IMPORT = re.compile(r"^(?:@[\w()]+ +)*(?:(?:public|package|internal|fileprivate|private) +)?import +(?:(?:struct|class|enum|func|let|var|protocol|typealias) +)?(\w+)", re.M)
# These modules come with the toolchain or the C library.
GIVEN = {"Swift", "Glibc", "Synchronization", "Testing", "Foundation", "FoundationEssentials", "Dispatch", "_Concurrency"}


def module(name: str) -> str:
    return name.replace("-", "_")


def names(target: dict) -> set[str]:
    found = set()
    for dependency in target["dependencies"]:
        kind, value = next(iter(dependency.items()))
        found.add(module(value[0]))
    return found


def imports(folder: Path) -> dict[str, list[str]]:
    """Returns the modules that the Swift files below a folder import, each with the names of those files."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.swift")):
        for name in IMPORT.findall(path.read_text()):
            found.setdefault(name, []).append(str(path.relative_to(ROOT)))
    return found


def folder(target: dict) -> Path:
    default = Path("Tests" if target["type"] == "test" else "Sources") / target["name"]
    return ROOT / target.get("path", default)


def block(page: str, kind: str) -> list[str]:
    found = re.search(rf"^```{kind}\n(.*?)^```", page, re.M | re.S)
    return found.group(1).splitlines() if found else []


def check_files() -> list[str]:
    """Checks each Swift file by itself."""
    faults: list[str] = []
    for path in sorted([*ROOT.glob("Sources/**/*.swift"), *ROOT.glob("Tests/**/*.swift")]):
        text, name = path.read_text(), path.relative_to(ROOT)
        count = text.count("\n")
        if count > MAX_LINES:
            faults.append(f"{name} has {count} lines: split it, {MAX_LINES} are allowed")
        if name.parts[0] != "Sources":
            continue
        for word in PUBLIC.findall(text):
            if word == "import" and "@retroactive" in text:
                continue
            faults.append(f"{name} has a public {word}: make it package")
    return faults


def main() -> int:
    package = json.load(sys.stdin)
    faults = check_files()
    targets = {module(target["name"]): target for target in package["targets"]}
    swift = {name: target for name, target in targets.items() if any(folder(target).rglob("*.swift"))}
    shims = {name for name, target in targets.items() if "/C/" in f"{folder(target)}/"}
    owners: dict[str, set[str]] = {name: set() for name in shims}

    for name, target in swift.items():
        used, declared = imports(folder(target)), names(target)
        for other, files in used.items():
            if other in GIVEN or other == name:
                continue
            if other not in declared:
                faults.append(f"{files[0]} imports {other}, which Package.swift does not list for {name}")
            if other in shims and target["type"] != "test":
                owners[other].add(name)
        for other in sorted(declared - set(used)):
            # A test bundle needs the programs that it runs, not their modules.
            if targets.get(other, {}).get("type") == "executable":
                continue
            faults.append(f"Package.swift lists {other} for {name}, which does not import it")

    inner = {other for shim in shims for other in names(targets[shim])}
    for shim, modules in owners.items():
        if not modules and shim in inner:
            continue
        if len(modules) != 1 and targets[shim].get("type") != "test":
            faults.append(f"{shim} needs exactly one owner, and has {len(modules)}: {', '.join(sorted(modules)) or 'none'}")

    # Media is a library although it lies beside the tools.
    tools = {name for name, target in swift.items() if folder(target).parent == ROOT / "Sources" and name != "Media"}
    for name, target in swift.items():
        if target["type"] == "test" or name in tools or "Tests" in folder(target).parts or name == "Options":
            continue
        for path in imports(folder(target)).get("ArgumentParser", []):
            faults.append(f"{path} imports ArgumentParser: only Options and the tools may")

    faults += check_page(swift, tools, shims, targets)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


def check_page(swift: dict, tools: set[str], shims: set[str], targets: dict) -> list[str]:
    faults: list[str] = []
    libraries = {
        name for name, target in swift.items()
        if target["type"] != "test" and "Tests" not in folder(target).parts and name != "tgpipe"
    }
    real = {
        name: {other for other in names(targets[name]) if other in libraries or other in shims} for name in libraries
    }
    if "--update" in sys.argv[1:]:
        update_page(real, targets)
    page = PAGE.read_text() if PAGE.exists() else ""
    layers: dict[str, int] = {}
    for number, line in enumerate(block(page, "layers")):
        for name in re.findall(r"[\w-]+", line.split(":", 1)[-1]):
            layers[module(name)] = number
    if not layers:
        return [f"{PAGE.relative_to(ROOT)} has no block ```layers"]
    for name in sorted(libraries - set(layers)):
        faults.append(f"{name} is missing from the layers in docs/architecture.md")
    for name in sorted(libraries):
        for other in names(targets[name]) & libraries:
            if layers.get(other, 0) < layers.get(name, 0):
                faults.append(f"{name} depends on {other}, which docs/architecture.md lists in a higher layer")
    for path in re.findall(r"`((?:[\w-]+/)+[\w.+-]+\.swift)`", page):
        if not (ROOT / "Sources" / path).exists() and not (ROOT / path).exists():
            faults.append(f"docs/architecture.md names {path}, which does not exist: name the file that took its place")
    for first, last in re.findall(r"`(\w+)/(\w+)`", page):
        if not any(first in path.parts for path in ROOT.glob(f"Sources/**/{last}*") if path.stem == last):
            faults.append(f"docs/architecture.md names {first}/{last}, which does not exist: name what took its place")
    drawn = {}
    for line in block(page, "modules"):
        name, _, rest = line.partition(":")
        drawn[module(name.strip())] = {module(word) for word in re.findall(r"[\w-]+", rest)}
    for name in sorted(libraries):
        if drawn.get(name) != real[name]:
            faults.append(
                f"docs/architecture.md must list '{targets[name]['name']}: {' '.join(sorted(real[name]))}': run "
                "'scripts/swift.sh package dump-package | scripts/check-modules.py --update'"
            )
    for name in sorted((set(drawn) | set(layers)) - libraries - {"tgpipe"}):
        faults.append(f"docs/architecture.md lists {name}, which does not exist")
    return faults


def update_page(real: dict[str, set[str]], targets: dict) -> None:
    """Rewrites the block ```modules, in the order of Package.swift."""
    shown = [name for name in targets if name in real]
    lines = "".join(f"{targets[name]['name']}: {' '.join(sorted(real[name]))}".rstrip() + "\n" for name in shown)
    page = PAGE.read_text()
    PAGE.write_text(re.sub(r"^```modules\n.*?^```", lambda _: f"```modules\n{lines}```", page, flags=re.M | re.S))


if __name__ == "__main__":
    sys.exit(main())
