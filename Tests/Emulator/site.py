"""Start the emulated web site. It prints its address on standard output and serves until it is ended."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import lifecycle
from webhost.server import Site


def main() -> int:
    parser = argparse.ArgumentParser(description="A web server on the loopback interface, with faults on request.")
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="the folder whose files are served")
    lifecycle.add_arguments(parser)
    arguments = parser.parse_args()
    if not arguments.root.is_dir():
        parser.error(f"{arguments.root} is no folder")
    asyncio.run(lifecycle.serve(Site(arguments.root).application(), arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main())
