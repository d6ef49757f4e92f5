"""Looks at web pages with a headless Chromium: browser.py FOLDER STEP…

The browser keeps its files in FOLDER. The steps are done in order, in one window:

    http://… or file://…    opens a page
    click=SELECTOR          clicks on the first element that a CSS selector names, and waits for the next page
    wait=TEXT               waits until the page has a text; meanwhile the page may load itself anew
    picture=FILE            writes a picture of the whole page

Afterwards one line of JSON tells what the last page is, which addresses were asked for since the start, and what the browser complained
about. If a step fails, the line has the member "error".
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

Json = dict[str, Any]
PATIENCE_SECONDS = 60

# Debian has the program under the first name; chromium is the one with windows, which many people have.
PROGRAMS = ("chromium-headless-shell", "chromium")

# The sandbox needs a user that is not root, and namespaces that many containers forbid. The pages come from this machine only.
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio", "--hide-scrollbars",
    "--window-size=1280,900", "--remote-debugging-pipe",
)  # fmt: skip

DESCRIBE = """
(() => {
  const all = [...document.querySelectorAll("*")];
  const elements = {};
  for (const element of all) elements[element.localName] = (elements[element.localName] ?? 0) + 1;
  const texts = selector => [...document.querySelectorAll(selector)].map(element => element.textContent);
  const place = element => element.getBoundingClientRect();
  const isWithin = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
  const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  const groups = [...document.querySelectorAll(".graph g")].filter(group => group.querySelector("rect"));
  const box = group => place(group.querySelector("rect"));
  const overflowing = groups.flatMap(group =>
    [...group.querySelectorAll("text")].filter(text => !isWithin(place(text), box(group))).map(text => text.textContent));
  const overlapping = groups.flatMap((group, index) =>
    groups.slice(index + 1).filter(other => meet(box(group), box(other))).map(other => other.textContent));
  const edges = [...document.querySelectorAll("path.edge")];
  const clipped = edges.filter(edge => !isWithin(place(edge), place(edge.closest("svg")))).map(edge => edge.getAttribute("d"));
  // An edge to an earlier column must go around the boxes.
  const points = edge => [...Array(101).keys()].map(part => edge.getPointAtLength(edge.getTotalLength() * part / 100));
  const covers = (rect, {x, y}) => {
    const [left, top, width, height] = ["x", "y", "width", "height"].map(name => rect[name].baseVal.value);
    return x > left + 3 && x < left + width - 3 && y > top + 3 && y < top + height - 3;
  };
  const rects = groups.map(group => group.querySelector("rect"));
  const crossing = edges.map(points).filter(line => line[0].x > line[100].x)
    .filter(line => line.some(point => rects.some(rect => covers(rect, point)))).length;
  const rows = [...document.querySelectorAll("svg.spans text, text.label")].map(text => [text.textContent, place(text)]);
  const covered = rows.flatMap(([text, at], index) =>
    rows.slice(index + 1).filter(([, other]) => meet(at, other)).map(([other]) => `${text} and ${other}`)
      .concat(groups.filter(group => meet(at, box(group))).map(() => `${text} and a box`))
      .concat([...document.querySelectorAll("svg.spans circle")].filter(dot => meet(at, place(dot))).map(() => `${text} and a dot`)));
  const broken = [...document.querySelectorAll("td:nth-child(-n+2)")].filter(cell => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return new Set([...range.getClientRects()].map(line => Math.round(line.top))).size > 1;
  }).map(cell => cell.innerText);
  return {
    title: document.title,
    text: document.body.innerText,
    drawn: texts("svg text"),
    boxes: groups.map(group => ({
      kind: group.getAttribute("class"), all: group.querySelector("title")?.textContent, lines: [...group.querySelectorAll("text")].map(text => text.textContent)})),
    rows: [...document.querySelectorAll("tr")].map(row => [...row.cells].map(cell => cell.innerText)),
    elements,
    handlers: all.flatMap(element => element.getAttributeNames().filter(name => name.startsWith("on"))),
    links: [...document.links].map(link => link.getAttribute("href")),
    styles: [...document.styleSheets].length,
    has_run: "planted" in window,
    edges: edges.length, overflowing, overlapping, covered, clipped, crossing, broken,
    too_wide: document.documentElement.scrollWidth > window.innerWidth,
  };
})()
"""


class Failure(Exception):
    """Signals that a page cannot be looked at."""


class Browser:
    """Drives one window through the pipe for debuggers: JSON objects that end with NUL."""

    def __init__(self, folder: str) -> None:
        program = next((found for found in map(shutil.which, PROGRAMS) if found), None)
        if program is None:
            raise Failure("chromium-headless-shell is missing: run make deps")
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        # The browser reads from its descriptor 3 and writes to 4, which may be the numbers of other ends here.
        sources = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (orders, answers)]

        def place_pipes() -> None:
            os.dup2(sources[0], 3)
            os.dup2(sources[1], 4)

        places = {"HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_CACHE_HOME": folder, "XDG_RUNTIME_DIR": folder}
        self._log = open(os.path.join(folder, "browser.log"), "wb")
        self._process = subprocess.Popen(
            [program, *OPTIONS, f"--user-data-dir={os.path.join(folder, 'browser')}"], stdin=subprocess.DEVNULL,
            stdout=self._log, stderr=self._log, env=os.environ | places, pass_fds=(3, 4), preexec_fn=place_pipes,
            start_new_session=True,
        )  # fmt: skip
        for end in (orders, answers, *sources):
            os.close(end)
        self._deadline = time.monotonic() + PATIENCE_SECONDS
        self._bytes = b""
        self._number = 0
        self._session: str | None = None
        self._idle = 0
        self.requests: list[str] = []
        self.documents = 0
        self.complaints: list[str] = []
        page = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def end(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._log.close()

    def open(self, url: str) -> None:
        before = self._idle
        told = self.call("Page.navigate", url=url)
        if "errorText" in told:
            raise Failure(f"{url}: {told['errorText']}")
        self._wait_for_page(before)

    def click(self, selector: str) -> None:
        before = self._idle
        place = self.evaluate(
            f"(e => {{ if (!e) return null; e.scrollIntoView({{block: 'center'}}); const r = e.getClientRects()[0];"
            f" return [r.left + r.width / 2, r.top + r.height / 2]; }})(document.querySelector({json.dumps(selector)}))"
        )
        if place is None:
            raise Failure(f"the page has no {selector}")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)
        self._wait_for_page(before)

    def wait(self, text: str) -> None:
        # Without its style, a page that was just loaded anew is not yet what a person sees.
        shown = f"document.readyState === 'complete' && document.documentElement.textContent.includes({json.dumps(text)})"
        while not self.evaluate(shown):
            self._receive(time.monotonic() + 0.1)

    def picture(self, path: str) -> None:
        shown = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        # The file appears with all of its bytes.
        with open(f"{path}.new", "wb") as file:
            file.write(base64.b64decode(shown))
        os.rename(f"{path}.new", path)

    def evaluate(self, expression: str) -> Any:
        while True:
            try:
                told = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
            except Failure as failure:
                # The page was just being replaced by the next one.
                if "context" in str(failure) or "navigated" in str(failure):
                    continue
                raise
            if "exceptionDetails" in told:
                raise Failure(json.dumps(told["exceptionDetails"]))
            return told["result"].get("value")

    def call(self, method: str, **parameters: Any) -> Json:
        self._number += 1
        number = self._number
        order: Json = {"id": number, "method": method, "params": parameters}
        if self._session:
            order["sessionId"] = self._session
        os.write(self._orders, json.dumps(order).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer and answer.get("id") == number:
                if "error" in answer:
                    raise Failure(f"{method}: {answer['error'].get('message')}")
                return dict(answer["result"])

    def _wait_for_page(self, before: int) -> None:
        # The network has been silent for half a second then, so that whatever the page asks for has been asked for.
        while self._idle == before:
            self._receive()

    def _receive(self, until: float | None = None) -> Json | None:
        """Returns the next message; None if there is none until a time that is given."""
        while b"\0" not in self._bytes:
            wait = min(self._deadline, until or self._deadline) - time.monotonic()
            if not select.select([self._answers], [], [], max(0, wait))[0]:
                if until and time.monotonic() < self._deadline:
                    return None
                raise Failure(f"the browser does not answer within {PATIENCE_SECONDS} s")
            part = os.read(self._answers, 1 << 16)
            if not part:
                raise Failure("the browser has ended")
            self._bytes += part
        line, self._bytes = self._bytes.split(b"\0", 1)
        message: Json = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, about: Json) -> None:
        match event:
            case "Page.lifecycleEvent" if about["name"] == "networkIdle":
                self._idle += 1
            case "Network.requestWillBeSent":
                self.requests.append(about["request"]["url"])
                self.documents += about.get("type") == "Document"
            case "Runtime.consoleAPICalled":
                self.complaints.append(" ".join(str(value.get("value")) for value in about["args"]))
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(about["exceptionDetails"]))
            case "Log.entryAdded":
                self.complaints.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")
            case "Audits.issueAdded":
                self.complaints.append(json.dumps(about["issue"]))


def look(folder: str, steps: list[str]) -> Json:
    try:
        browser = Browser(folder)
    except Failure as failure:
        return {"error": str(failure)}
    try:
        for step in steps:
            name, _, value = step.partition("=")
            match name:
                case "click":
                    browser.click(value)
                case "wait":
                    browser.wait(value)
                case "picture":
                    browser.picture(value)
                case _:
                    browser.open(step)
        page = dict(browser.evaluate(DESCRIBE))
        return page | {
            "requests": browser.requests, "documents": browser.documents, "complaints": browser.complaints,
        }  # fmt: skip
    except Failure as failure:
        return {"error": str(failure), "requests": browser.requests, "complaints": browser.complaints}
    finally:
        browser.end()


if __name__ == "__main__":
    print(json.dumps(look(sys.argv[1], sys.argv[2:])))
