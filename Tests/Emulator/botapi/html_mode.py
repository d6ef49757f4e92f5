"""parse_mode HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .entities import Entity, utf16_length
from .errors import ApiError, bad_request

_SIMPLE = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler",
    "span": "spoiler", "code": "code",
}  # fmt: skip
_OTHER = {"a", "pre", "blockquote", "tg-emoji"}
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_REFERENCE = re.compile(r"&(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|(lt|gt|amp|quot));")
_TAG_NAME = re.compile(r"[^\s>/]+")
_SPACE = re.compile(r"\s*")
_ATTRIBUTE_NAME = re.compile(r"[^\s=>/]*")
_UNQUOTED_VALUE = re.compile(r"[A-Za-z0-9.-]+")


def fail(reason: str) -> ApiError:
    return bad_request(f"can't parse entities: {reason}")


@dataclass
class _Open:
    tag: str
    start: int
    attributes: dict[str, str]
    at_byte: int


def unescape(text: str) -> str:
    """Decode numeric references and the four named ones; leave other text unchanged."""

    def replace(match: re.Match[str]) -> str:
        if match[3]:
            return _NAMED[match[3]]
        code = int(match[1], 16) if match[1] else int(match[2])
        return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else match[0]

    return _REFERENCE.sub(replace, text)


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.text = ""
        self.length = 0
        self.open: list[_Open] = []
        self.entities: list[Entity] = []

    def parse(self) -> tuple[str, list[Entity]]:
        while self.at < len(self.source):
            next_tag = self.source.find("<", self.at)
            self._append(unescape(self.source[self.at : next_tag if next_tag >= 0 else len(self.source)]))
            if next_tag < 0:
                break
            self.at = next_tag
            if self.source.startswith("</", self.at):
                self._end_tag()
            else:
                self._start_tag()
        if self.open:
            raise fail(f"Can't find end tag corresponding to start tag \"{self.open[-1].tag}\"")
        return self.text, self.entities

    def _append(self, text: str) -> None:
        self.text += text
        self.length += utf16_length(text)

    def _byte(self, index: int) -> int:
        return len(self.source[:index].encode())

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.source, self.at)
        if match is None:
            return ""
        self.at = match.end()
        return match[0]

    def _peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def _start_tag(self) -> None:
        begin = self._byte(self.at)
        self.at += 1
        tag = self._skip(_TAG_NAME).lower()
        if not self._peek():
            raise fail(f"Unclosed start tag at byte offset {begin}")
        if tag not in _SIMPLE and tag not in _OTHER:
            raise fail(f'Unsupported start tag "{tag}" at byte offset {begin}')
        attributes: dict[str, str] = {}
        while self._skip(_SPACE) or self._peek() != ">":
            if self._peek() == ">":
                break
            name, value = self._attribute(tag, begin)
            attributes[name] = value
        self.at += 1
        if tag == "span" and attributes.get("class") != "tg-spoiler":
            raise fail(f'Tag "span" must have class "tg-spoiler" at byte offset {begin}')
        self.open.append(_Open(tag, self.length, attributes, begin))

    def _attribute(self, tag: str, begin: int) -> tuple[str, str]:
        if not self._peek():
            raise fail(f"Unclosed start tag at byte offset {begin}")
        name = self._skip(_ATTRIBUTE_NAME).lower()
        if not name:
            raise fail(f'Empty attribute name in the tag "{tag}" at byte offset {begin}')
        self._skip(_SPACE)
        if self._peek() != "=":
            if name == "expandable":
                return name, ""
            raise fail(
                f'Expected equal sign in declaration of an attribute of the tag "{tag}" at byte offset {begin}'
            )
        self.at += 1
        self._skip(_SPACE)
        quote = self._peek()
        if quote not in ("'", '"'):
            return name, self._skip(_UNQUOTED_VALUE).lower()
        end = self.source.find(quote, self.at + 1)
        if end < 0:
            raise fail(f"Unclosed start tag at byte offset {begin}")
        value = unescape(self.source[self.at + 1 : end])
        self.at = end + 1
        return name, value

    def _end_tag(self) -> None:
        begin = self._byte(self.at)
        if not self.open:
            raise fail(f"Unexpected end tag at byte offset {begin}")
        self.at += 2
        tag = self._skip(_TAG_NAME).lower()
        self._skip(_SPACE)
        if self._peek() != ">":
            raise fail(f"Unclosed end tag at byte offset {begin}")
        self.at += 1
        opened = self.open.pop()
        # An empty name closes whatever is open.
        if tag and tag != opened.tag:
            raise fail(
                f'Unmatched end tag at byte offset {begin}, expected "</{opened.tag}>", found "</{tag}>"'
            )
        if self.length > opened.start:
            self._close(opened)

    def _close(self, opened: _Open) -> None:
        extent: Entity = {"offset": opened.start, "length": self.length - opened.start}
        if opened.tag == "a":
            self._close_link(opened, extent)
        elif opened.tag == "pre":
            self._close_pre(extent)
        elif opened.tag == "blockquote":
            kind = "expandable_blockquote" if "expandable" in opened.attributes else "blockquote"
            self.entities.append({"type": kind} | extent)
        elif opened.tag == "tg-emoji":
            emoji_id = opened.attributes.get("emoji-id", "")
            if not emoji_id.isdigit():
                raise fail("Invalid custom emoji identifier specified")
            self.entities.append({"type": "custom_emoji"} | extent | {"custom_emoji_id": emoji_id})
        elif opened.tag == "code" and opened.attributes.get("class", "").startswith("language-"):
            language = opened.attributes["class"].removeprefix("language-")
            self.entities.append({"type": "code"} | extent | {"language": language})
        else:
            self.entities.append({"type": _SIMPLE[opened.tag]} | extent)

    def _close_link(self, opened: _Open, extent: Entity) -> None:
        inner = self.text.encode("utf-16-le")[opened.start * 2 :].decode("utf-16-le")
        entity = link_entity(opened.attributes.get("href") or inner, extent)
        if entity is not None:
            self.entities.append(entity)

    def _close_pre(self, extent: Entity) -> None:
        inner = self.entities[-1] if self.entities else None
        if inner and inner["type"] == "code" and all(inner[key] == extent[key] for key in extent):
            self.entities.pop()
            language = {"language": inner["language"]} if inner.get("language") else {}
            self.entities.append({"type": "pre"} | extent | language)
        else:
            self.entities.append({"type": "pre"} | extent)


def link_entity(url: str, extent: Entity) -> Entity | None:
    """A link, a mention of a user by id, or nothing when the address is none."""
    user = re.fullmatch(r"tg://user/?\?id=(\d+)", url)
    if user:
        return {"type": "text_mention"} | extent | {"user": {"id": int(user[1]), "is_bot": False, "first_name": ""}}
    if not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", url):
        if "." not in url or re.search(r"\s", url):
            return None
        url = f"http://{url}"
    if re.fullmatch(r"https?://[^/?#]+", url):
        url += "/"
    return {"type": "text_link"} | extent | {"url": url}


def parse(source: str) -> tuple[str, list[Entity]]:
    text, entities = _Parser(source).parse()
    for entity in entities:
        if entity["type"] == "code":
            entity.pop("language", None)
    return text, entities
