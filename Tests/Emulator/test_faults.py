"""Misbehaviour on request, and how the processes start and stop."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conftest import HERE, TOKEN, Server


def get(server: Server, path: str, timeout: float = 5) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


SEND = f"/bot{TOKEN}/sendMessage?chat_id=42&text=x"


def sent(emulator: Server) -> int:
    return len(emulator.control("chat/42", method="GET")["messages"]) - 1


def test_an_error_a_number_of_times_for_one_chat(emulator: Server) -> None:
    emulator.says("hi")
    emulator.control("fault", {"method": "sendMessage", "kind": "500", "times": 2, "chat_id": 42})
    assert [get(emulator, SEND)[0] for _ in range(3)] == [500, 500, 200]
    assert sent(emulator) == 1
    emulator.control("fault", {"method": "*", "kind": "403", "times": 9})
    emulator.control("fault", method="DELETE")
    assert get(emulator, SEND)[0] == 200


def test_a_dropped_connection_with_and_without_the_call_performed(emulator: Server) -> None:
    emulator.says("hi")
    for after in (False, True):
        emulator.control("fault", {"method": "sendMessage", "kind": "drop", "after": after})
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            get(emulator, SEND)
        assert sent(emulator) == int(after)
    calls = emulator.control("log?method=sendmessage", method="GET")["calls"]
    assert [(call["status"], call["description"]) for call in calls] == [(None, "drop")] * 2


def test_truncated_garbled_slow_and_no_answers(emulator: Server) -> None:
    emulator.says("hi")
    emulator.control("fault", {"method": "sendMessage", "kind": "truncate", "after": True})
    with pytest.raises(http.client.IncompleteRead):
        get(emulator, SEND)
    emulator.control("fault", {"method": "sendMessage", "kind": "garbage"})
    status, body = get(emulator, SEND)
    assert status == 200 and body.startswith(b"<html>")
    emulator.control("fault", {"method": "sendMessage", "kind": "slow", "delay": 0.5})
    begun = time.monotonic()
    assert get(emulator, SEND)[0] == 200 and time.monotonic() - begun >= 0.5
    emulator.control("fault", {"method": "sendMessage", "kind": "hang"})
    with pytest.raises(TimeoutError):
        get(emulator, SEND, timeout=0.5)
    assert sent(emulator) == 2


def test_flood_waits_carry_their_time(emulator: Server) -> None:
    emulator.control("fault", {"method": "*", "kind": "429", "retry_after": 33})
    status, body = get(emulator, SEND)
    answer = json.loads(body)
    assert status == 429 and answer["parameters"] == {"retry_after": 33}
    assert answer["description"] == "Too Many Requests: retry after 33"


@pytest.mark.parametrize("script", [["emulator.py"], ["site.py", "--root", str(HERE)]])
def test_a_server_ends_with_its_parent_and_with_standard_input(script: list[str]) -> None:
    command = [sys.executable, "-B", str(HERE / script[0]), *script[1:]]
    with subprocess.Popen(["sleep", "30"]) as parent:
        orphan = subprocess.Popen([*command, "--parent-pid", str(parent.pid)], stdout=subprocess.PIPE)
        assert orphan.stdout is not None and orphan.stdout.readline().startswith(b"http://127.0.0.1:")
        parent.kill()
    assert orphan.wait(timeout=3) == 0
    orphan.stdout.close()
    reader, writer = os.pipe()
    child = subprocess.Popen([*command, "--exit-with-stdin"], stdin=reader, stdout=subprocess.PIPE)
    os.close(reader)
    assert child.stdout is not None and child.stdout.readline()
    assert child.poll() is None
    os.close(writer)
    assert child.wait(timeout=3) == 0
    child.stdout.close()


def test_the_temporary_folder_is_removed_and_a_given_one_is_kept(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    given = tmp_path / "given"
    for arguments in ([], ["--files", str(given)]):
        command = [sys.executable, "-B", str(HERE / "emulator.py"), *arguments]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert child.stdout is not None and child.stdout.readline()
        child.terminate()
        assert child.wait(timeout=3) == 0
        child.stdout.close()
    assert list(tmp_path.iterdir()) == [given]
