"""Uploads, file_ids, limits, and files by URL."""

from __future__ import annotations

import http.client
import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from conftest import OTHER_TOKEN, TOKEN, Server, sparse_file

MIB = 1024 * 1024


def upload(server: Server, method: str, token: str = TOKEN, **fields: Any) -> Any:
    """A multipart call; a Path is a file. The client is curl: it streams, and asks before it sends a large body."""
    command = ["curl", "-s", "--max-time", "30"]
    for name, value in fields.items():
        command += ["-F", f"{name}=@{value}"] if isinstance(value, Path) else ["--form-string", f"{name}={value}"]
    answer = json.loads(subprocess.check_output([*command, f"{server.url}/bot{token}/{method}"]))
    return answer["result"] if answer["ok"] else (answer["error_code"], answer["description"])


def bad(reason: str) -> tuple[int, str]:
    return 400, f"Bad Request: {reason}"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.mp4"
    path.write_bytes(b"small")
    return path


def test_a_file_id_is_one_bots_own_and_keeps_its_type(emulator: Server, small: Path) -> None:
    emulator.says("hi")
    emulator.says("hi", bot=OTHER_TOKEN)
    document = upload(emulator, "sendDocument", chat_id=42, document=small)["document"]
    file_id = document["file_id"]
    other = upload(emulator, "sendVideo", OTHER_TOKEN, chat_id=42, video=small)["video"]
    assert other["file_unique_id"] == document["file_unique_id"]
    assert emulator.call("sendDocument", chat_id=42, document=file_id)["document"] == document
    wrong = bad("wrong file identifier/HTTP URL specified")
    assert emulator.call("sendDocument", OTHER_TOKEN, chat_id=42, document=file_id) == wrong
    assert emulator.call("sendVideo", chat_id=42, video=file_id) == bad("can't use file of type Document as Video")
    garbled = emulator.call("sendVideo", chat_id=42, video="no-file-id")
    assert garbled[1].startswith("Bad Request: wrong remote file identifier specified: ")
    assert emulator.call("getFile", file_id="no-file-id") == bad("invalid file_id")
    assert emulator.call("sendVideo", chat_id=42) == bad("there is no video in the request")


def test_an_expired_file_id_is_refused_and_an_upload_gives_a_new_one(emulator: Server, small: Path) -> None:
    emulator.says("hi")
    first = upload(emulator, "sendVideo", chat_id=42, video=small)["video"]
    assert emulator.control("expire", {"file_ids": [first["file_id"]]}) == {"expired": 1}
    refused = emulator.call("sendVideo", chat_id=42, video=first["file_id"])
    assert refused == bad("wrong file identifier/HTTP URL specified")
    second = upload(emulator, "sendVideo", chat_id=42, video=small)["video"]
    assert second["file_id"] != first["file_id"] and second["file_unique_id"] == first["file_unique_id"]


def test_limits_of_the_cloud(emulator: Server, tmp_path: Path) -> None:
    emulator.says("hi")
    fits = sparse_file(tmp_path / "fits.bin", 50 * MIB)
    sent = upload(emulator, "sendDocument", chat_id=42, document=fits)["document"]
    assert sent["file_size"] == 50 * MIB
    assert emulator.call("getFile", file_id=sent["file_id"]) == bad("file is too big")
    large = (413, "Request Entity Too Large")
    assert upload(emulator, "sendDocument", chat_id=42, document=sparse_file(fits, 50 * MIB + 1)) == large
    assert upload(emulator, "sendDocument", chat_id=42, document=sparse_file(fits, 300 * MIB)) == large
    photo = sparse_file(tmp_path / "p.jpg", 10 * MIB + 1)
    assert "too big for a photo" in upload(emulator, "sendPhoto", chat_id=42, photo=photo)[1]
    assert upload(emulator, "sendPhoto", chat_id=42, photo=sparse_file(photo, 10)) == bad("IMAGE_PROCESS_FAILED")
    assert upload(emulator, "sendVideo", chat_id=42, video=sparse_file(photo, 0)) == bad("file must be non-empty")
    caption = upload(emulator, "sendVideo", chat_id=42, video=sparse_file(photo, 9), caption="c" * 1025)
    assert caption == bad("message caption is too long")


def test_a_local_server_takes_and_gives_large_files(local_emulator: Server, tmp_path: Path) -> None:
    local_emulator.says("hi")
    large = sparse_file(tmp_path / "large.mp4", 120 * MIB)
    sent = upload(local_emulator, "sendVideo", chat_id=42, video=large)["video"]
    path = Path(local_emulator.call("getFile", file_id=sent["file_id"])["file_path"])
    assert path.is_absolute() and path.stat().st_size == 120 * MIB
    by_path = local_emulator.call("sendVideo", chat_id=42, video=large.as_uri())["video"]
    assert by_path["file_unique_id"] == sent["file_unique_id"]
    memory = Path(f"/proc/{local_emulator.process.pid}/status").read_text()
    peak_kib = int(memory.split("VmHWM:")[1].split()[0])
    assert peak_kib < 100 * 1024, "the body was held in memory"


def test_a_body_over_the_limit_is_refused_by_its_declared_length(local_emulator: Server) -> None:
    connection = http.client.HTTPConnection(urlsplit(local_emulator.url).netloc, timeout=5)
    connection.putrequest("POST", f"/bot{TOKEN}/sendVideo")
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.putheader("Content-Length", str(2001 * MIB))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_multipart_is_read_strictly(emulator: Server, small: Path) -> None:
    emulator.says("hi")
    assert upload(emulator, "sendVideo", chat_id=42, video="attach://v", v=small)["video"]["file_size"] == 5
    missing = upload(emulator, "sendVideo", chat_id=42, video="attach://w", v=small)
    assert missing == bad("can't find file part attach://w refers to")
    assert upload(emulator, "sendVideo", chat_id=42, video=small, w=small) == bad('unknown parameter "w"')
    connection = http.client.HTTPConnection(urlsplit(emulator.url).netloc, timeout=5)
    body = b'--b\r\nContent-Disposition: form-data; name="chat_id"\r\n\r\n42\r\n'
    connection.request("POST", f"/bot{TOKEN}/getChat", body, {"Content-Type": "multipart/form-data; boundary=b"})
    assert json.loads(connection.getresponse().read())["error_code"] == 400
    connection.close()


def test_files_by_url(emulator: Server, site: Server) -> None:
    emulator.says("hi")
    video = emulator.call("sendVideo", chat_id=42, video=f"{site.url}/clip.mp4")["video"]
    assert (video["file_name"], video["file_size"]) == ("clip.mp4", 102400)
    wrong = bad("wrong type of the web page content")
    assert emulator.call("sendVideo", chat_id=42, video=f"{site.url}/notes.txt") == wrong
    gone = bad("failed to get HTTP URL content")
    assert emulator.call("sendVideo", chat_id=42, video=f"{site.url}/none.mp4") == gone


def test_the_log_knows_files_by_their_hash(emulator: Server, small: Path) -> None:
    emulator.says("hi")
    video = upload(emulator, "sendVideo", chat_id=42, video=small)["video"]
    (call,) = emulator.control("log?method=sendVideo", method="GET")["calls"]
    assert call["params"]["video"]["size"] == 5 and len(call["params"]["video"]["sha256"]) == 64
    assert call["started_at"] <= call["ended_at"] and call["status"] == 200
    data = subprocess.check_output(["curl", "-s", f"{emulator.url}/control/file/{video['file_unique_id']}"])
    assert data == b"small"
