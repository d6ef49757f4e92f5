"""The site's paths."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from . import oddities
from .journal import Visit
from .resource import Resource, find
from .transfer import Manner, cut, send_file

Handler = Callable[[web.Request, Visit], Awaitable[web.StreamResponse]]
DISCONNECT_POLL_SECONDS = 0.1


class Site:
    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._visits: list[Visit] = []
        self._counts: Counter[str] = Counter()
        self._short_links: dict[str, str] = {}

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/control/short", self._add_short_link)
        app.router.add_get("/control/log", self._log)
        app.router.add_delete("/control/log", self._clear_log)
        pages: list[tuple[str, Handler]] = [
            (r"/slow/{rate:\d+}/{file:.+}", self._slow), (r"/drop/{after:\d+}/{file:.+}", self._drop),
            ("/norange/{file:.+}", self._no_range), ("/changing/{file:.+}", self._changing),
            (r"/status/{code:\d{3}}", self._status), ("/redirect", self._redirect), ("/loop", self._loop),
            ("/page/{file:.+}", self._page), ("/choice/{name}", self._choice), ("/members/{name}", self._members),
            ("/feed", self._feed), ("/several", self._several), ("/chunked/{file:.+}", self._chunked),
            ("/endless", oddities.send_endless), (r"/lie/{length:\d+}/{file:.+}", self._lie),
            ("/hang", self._hang), ("/gzipbomb", oddities.send_gzip_bomb), ("/echo", self._echo),
            ("/s/{code}", self._short), ("/{file:.+}", self._plain),
        ]  # fmt: skip
        for path, handler in pages:
            app.router.add_route("*", path, self._logged(handler))
        return app

    def _logged(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            headers = request.headers
            visit = Visit(
                request.method, request.path_qs, headers.get("Range"), headers.get("User-Agent"), headers.get("Cookie")
            )
            self._visits.append(visit)
            try:
                response = await handler(request, visit)
            except web.HTTPException as error:
                visit.status = error.status
                raise
            except ConnectionError:
                # The client has had enough; that is its right.
                cut(request)
                return web.StreamResponse()
            else:
                if visit.status is None:
                    visit.status = response.status
                    body = response.body if isinstance(response, web.Response) else None
                    visit.bytes_sent = len(body) if isinstance(body, bytes) else 0
                return response
            finally:
                visit.end()

        return handle

    def _file(self, request: web.Request) -> Resource:
        return find(self._root, request.match_info["file"])

    async def _plain(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        return await send_file(request, visit, self._file(request), Manner())

    async def _slow(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        manner = Manner(bytes_per_second=max(1, int(request.match_info["rate"])))
        return await send_file(request, visit, self._file(request), manner)

    async def _drop(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        """Without `?key=` every request is cut; with one, only the first (`?times=N`: the first N) of that key."""
        key = request.query.get("key")
        cuts = request.method == "GET"
        if key is not None and cuts:
            self._counts[f"drop {key}"] += 1
            cuts = self._counts[f"drop {key}"] <= int(request.query.get("times", 1))
        manner = Manner(drop_after=int(request.match_info["after"]) if cuts else None)
        return await send_file(request, visit, self._file(request), manner)

    async def _no_range(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        return await send_file(request, visit, self._file(request), Manner(ranges=False))

    async def _changing(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        self._counts["changing"] += 1
        return await send_file(request, visit, self._file(request), Manner(etag=f'"v{self._counts["changing"]}"'))

    async def _chunked(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        return await send_file(request, visit, self._file(request), Manner(ranges=False, chunked=True))

    async def _lie(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        manner = Manner(ranges=False, claimed_length=int(request.match_info["length"]))
        resource = self._file(request)
        if manner.claimed_length is not None and manner.claimed_length < resource.size:
            raise web.HTTPBadRequest(text="the claimed length must not be smaller than the file")
        return await send_file(request, visit, resource, manner)

    async def _status(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        code = int(request.match_info["code"])
        headers = {"Retry-After": request.query.get("retry_after", "1")} if code in (429, 503) else {}
        return web.Response(status=code, headers=headers, text=f"{code}\n" if code >= 200 and code != 304 else None)

    async def _redirect(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        """Redirects to `?to=`, after `?times=` hops (1 by default)."""
        if "to" not in request.query:
            raise web.HTTPBadRequest(text="to is missing")
        times = int(request.query.get("times", 1))
        if times > 1:
            raise web.HTTPFound(request.rel_url.update_query(times=str(times - 1)))
        raise web.HTTPFound(request.query["to"])

    async def _loop(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        raise web.HTTPFound("/loop")

    async def _page(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        return oddities.page(request, self._file(request), request.match_info["file"])

    async def _choice(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        return oddities.choice(request)

    async def _members(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        """The page of `NAME.mp4`, for people who are signed in: with a cookie `sid`, if it is not `expired`."""
        if request.cookies.get("sid", "expired") == "expired":
            raise web.HTTPUnauthorized
        name = f"{request.match_info['name']}.mp4"
        return oddities.page(request, find(self._root, name), name)

    async def _feed(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        return oddities.feed(request)

    async def _several(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        return oddities.several(request)

    async def _hang(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        while request.transport is not None and not request.transport.is_closing():
            await asyncio.sleep(DISCONNECT_POLL_SECONDS)
        cut(request)
        return web.StreamResponse()

    async def _echo(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        return oddities.echo(request)

    async def _short(self, request: web.Request, visit: Visit) -> web.StreamResponse:
        to = self._short_links.get(request.match_info["code"])
        if to is None:
            raise web.HTTPNotFound
        raise web.HTTPFound(to)

    async def _add_short_link(self, request: web.Request) -> web.Response:
        try:
            body: Any = await request.json()
            self._short_links[str(body["code"])] = str(body["to"])
        except (ValueError, KeyError, TypeError):
            return web.json_response({"error": 'give "code" and "to"'}, status=400)
        return web.json_response({"path": f"/s/{body['code']}"})

    async def _log(self, request: web.Request) -> web.Response:
        return web.json_response({"requests": [visit.record() for visit in self._visits]})

    async def _clear_log(self, request: web.Request) -> web.Response:
        self._visits.clear()
        return web.json_response({"ok": True})
