#!/usr/bin/env python3
"""Prints the ids of the test functions that failed, one a line, from an event stream of Swift Testing.

Prints nothing when the run did not end, so that a crash is never taken for the failure of a single test.
"""

import json
import sys


def main() -> None:
    failed: dict[str, None] = {}
    functions: set[str] = set()
    ended = False
    with open(sys.argv[1], encoding="utf-8") as stream:
        for line in stream:
            record = json.loads(line)
            payload = record["payload"]
            if record["kind"] == "test" and payload["kind"] == "function":
                functions.add(payload["id"])
            elif payload["kind"] == "issueRecorded" and not payload["issue"].get("isKnown"):
                # An issue outside every test cannot be repeated.
                failed[payload.get("testID", "")] = None
            elif payload["kind"] == "runEnded":
                ended = True
    if ended and failed and failed.keys() <= functions:
        print("\n".join(failed))


main()
