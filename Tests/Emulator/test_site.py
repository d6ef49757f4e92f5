"""The site that plays the internet."""

from __future__ import annotations

import gzip
import http.client
import json
import time
from urllib.parse import urlsplit

import pytest

from conftest import Server

CLIP = bytes(range(256)) * 400


class Answer:
    def __init__(self, response: http.client.HTTPResponse, body: bytes) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = body


def fetch(site: Server, path: str, method: str = "GET", timeout: float = 5, **headers: str) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=timeout)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return Answer(response, response.read())
    finally:
        connection.close()


def test_files_with_ranges_and_validators(site: Server) -> None:
    whole = fetch(site, "/clip.mp4")
    assert whole.body == CLIP and whole.headers["Content-Type"] == "video/mp4"
    etag = whole.headers["ETag"]
    part = fetch(site, "/clip.mp4", Range="bytes=1000-1999", If_Range=etag)
    assert part.status == 206 and part.body == CLIP[1000:2000]
    assert part.headers["Content-Range"] == "bytes 1000-1999/102400"
    assert fetch(site, "/clip.mp4", Range="bytes=-5").body == CLIP[-5:]
    assert fetch(site, "/clip.mp4", Range="bytes=5-", If_Range='"other"').status == 200
    assert fetch(site, "/clip.mp4", Range="bytes=102400-").status == 416
    assert fetch(site, "/clip.mp4", If_None_Match=etag).status == 304
    head = fetch(site, "/clip.mp4", "HEAD")
    assert head.body == b"" and head.headers["Content-Length"] == "102400"
    assert fetch(site, "/none").status == 404
    assert fetch(site, "/..%2f..%2fetc/passwd").status == 404


def test_a_dropped_download_can_be_resumed(site: Server) -> None:
    with pytest.raises(http.client.IncompleteRead) as dropped:
        fetch(site, "/drop/5000/clip.mp4?key=a")
    assert dropped.value.partial == CLIP[:5000]
    rest = fetch(site, "/drop/5000/clip.mp4?key=a", Range="bytes=5000-")
    assert rest.status == 206 and rest.body == CLIP[5000:]
    for _ in range(2):
        with pytest.raises(http.client.IncompleteRead):
            fetch(site, "/drop/5000/clip.mp4")


def test_servers_with_misleading_headers(site: Server) -> None:
    assert fetch(site, "/norange/clip.mp4", Range="bytes=5-").status == 200
    tags = {fetch(site, "/changing/clip.mp4", "HEAD").headers["ETag"] for _ in range(3)}
    assert len(tags) == 3
    chunked = fetch(site, "/chunked/clip.mp4")
    assert chunked.body == CLIP and "Content-Length" not in chunked.headers
    with pytest.raises(http.client.IncompleteRead):
        fetch(site, "/lie/200000/clip.mp4")
    begun = time.monotonic()
    assert fetch(site, "/slow/200000/clip.mp4").body == CLIP
    assert 0.4 < time.monotonic() - begun < 2
    with pytest.raises(TimeoutError):
        fetch(site, "/hang", timeout=0.3)
    assert len(gzip.decompress(fetch(site, "/gzipbomb?bytes=3145728").body)) == 3145728


def test_redirects_statuses_and_echoes(site: Server) -> None:
    assert fetch(site, "/redirect?to=/echo&times=2").headers["Location"] == "/redirect?to=/echo&times=1"
    assert fetch(site, "/redirect?to=/echo").headers["Location"] == "/echo"
    assert fetch(site, "/loop").headers["Location"] == "/loop"
    assert fetch(site, "/status/503").headers["Retry-After"] == "1"
    assert json.loads(fetch(site, "/echo", X_Test="1").body)["headers"]["X-Test"] == "1"
    site.control("short", {"code": "abc", "to": "/clip.mp4"})
    assert fetch(site, "/s/abc").headers["Location"] == "/clip.mp4"
    assert b'<video controls src="http://127.0.0.1:' in fetch(site, "/page/clip.mp4").body
    assert [fetch(site, "/members/clip", Cookie=f"sid={sid}").status for sid in ("7", "expired")] == [200, 401]
    assert fetch(site, "/members/clip").status == 401


def test_the_log_lists_requests(site: Server) -> None:
    fetch(site, "/clip.mp4", Range="bytes=0-9")
    (visit,) = site.control("log", method="GET")["requests"]
    assert (visit["path"], visit["range"], visit["status"], visit["bytes_sent"]) == ("/clip.mp4", "bytes=0-9", 206, 10)
    site.control("log", method="DELETE")
    assert site.control("log", method="GET") == {"requests": []}
