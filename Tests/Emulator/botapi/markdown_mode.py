"""parse_mode MarkdownV2, and the legacy Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .entities import Entity, utf16_length
from .html_mode import fail, link_entity

_RESERVED = set("_*[]()~`>#+-=|{}.!")
_TOGGLES = {"*": "bold", "_": "italic", "__": "underline", "~": "strikethrough", "||": "spoiler"}
_NAMES = {"bold": "Bold", "italic": "Italic", "underline": "Underline", "strikethrough": "Strikethrough",
          "spoiler": "Spoiler", "code": "Code", "pre": "Pre", "text_link": "TextUrl",
          "custom_emoji": "CustomEmoji"}  # fmt: skip
_LANGUAGE = re.compile(r"[^\s`]+(?=\n)")


@dataclass
class _Open:
    kind: str
    start: int
    at: int


class _MarkdownV2:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.text = ""
        self.open: list[_Open] = []
        self.entities: list[Entity] = []
        self.quote: _Open | None = None

    def parse(self) -> tuple[str, list[Entity]]:
        while self.at < len(self.source):
            self._step()
        if self.quote is not None:
            self._end_quote()
        if self.open:
            raise self._no_end(self.open[-1])
        return self.text, self.entities

    def _step(self) -> None:
        if self._at_line_start() and self._quote_line():
            return
        character = self.source[self.at]
        following = self.source[self.at + 1 : self.at + 2]
        if character == "\\" and following and following < "\x7f":
            self._literal(following, 2)
        elif self.source.startswith("```", self.at):
            self._pre()
        elif character == "`":
            self._code()
        elif self._toggle():
            pass
        elif character == "[" or self.source.startswith("![", self.at):
            self._open("custom_emoji" if character == "!" else "text_link", 2 if character == "!" else 1)
        elif character == "]" and self.open and self.open[-1].kind in ("text_link", "custom_emoji"):
            self._close_link()
        elif character in _RESERVED:
            raise fail(f"Character '{character}' is reserved and must be escaped with the preceding '\\'")
        else:
            self._literal(character, 1)

    def _literal(self, text: str, width: int) -> None:
        self.text += text
        self.at += width

    def _no_end(self, opened: _Open) -> Exception:
        at_byte = len(self.source[: opened.at].encode())
        return fail(f"Can't find end of {_NAMES[opened.kind]} entity at byte offset {at_byte}")

    def _open(self, kind: str, width: int) -> None:
        self.open.append(_Open(kind, utf16_length(self.text), self.at))
        self.at += width

    def _extent(self, opened: _Open) -> Entity:
        return {"offset": opened.start, "length": utf16_length(self.text) - opened.start}

    def _add(self, kind: str, opened: _Open, **more: str) -> None:
        extent = self._extent(opened)
        if extent["length"]:
            self.entities.append({"type": kind} | extent | more)

    def _toggle(self) -> bool:
        for mark in ("||", "__", "*", "_", "~"):
            if not self.source.startswith(mark, self.at):
                continue
            kind = _TOGGLES[mark]
            if self.open and self.open[-1].kind == kind:
                self._add(kind, self.open.pop())
                self.at += len(mark)
            elif mark == "__" and self.open and self.open[-1].kind == "italic":
                # In ___, the first two underscores are an underline; an open italic closes before it.
                self._add("italic", self.open.pop())
                self.at += 1
            elif any(opened.kind == kind for opened in self.open):
                raise self._no_end(self.open[-1])
            else:
                self._open(kind, len(mark))
            return True
        return False

    def _raw_until(self, mark: str, opened: _Open) -> str:
        """Returns the text up to `mark`, in which only backslashes have a meaning."""
        text = ""
        while not self.source.startswith(mark, self.at):
            if self.at >= len(self.source):
                raise self._no_end(opened)
            if self.source[self.at] == "\\" and self.at + 1 < len(self.source):
                self.at += 1
            text += self.source[self.at]
            self.at += 1
        self.at += len(mark)
        return text

    def _code(self) -> None:
        opened = _Open("code", utf16_length(self.text), self.at)
        self.at += 1
        self.text += self._raw_until("`", opened)
        self._add("code", opened)

    def _pre(self) -> None:
        opened = _Open("pre", utf16_length(self.text), self.at)
        self.at += 3
        language = _LANGUAGE.match(self.source, self.at)
        if language:
            self.at = language.end()
        if self.source.startswith("\n", self.at):
            self.at += 1
        self.text += self._raw_until("```", opened)
        self._add("pre", opened, **({"language": language[0]} if language else {}))

    def _close_link(self) -> None:
        opened = self.open.pop()
        self.at += 1
        url = ""
        if self.source.startswith("(", self.at):
            self.at += 1
            url = self._raw_until(")", opened)
        if opened.kind == "custom_emoji":
            emoji = re.fullmatch(r"tg://emoji\?id=(\d+)", url)
            if not emoji:
                raise fail("Custom emoji URL must have scheme tg")
            self._add("custom_emoji", opened, custom_emoji_id=emoji[1])
            return
        inner = self.text.encode("utf-16-le")[opened.start * 2 :].decode("utf-16-le")
        entity = link_entity(url or inner, self._extent(opened))
        if entity is not None and entity["length"]:
            self.entities.append(entity)

    def _at_line_start(self) -> bool:
        return self.at == 0 or self.source[self.at - 1] == "\n"

    def _quote_line(self) -> bool:
        """Begin, continue or end a block quotation; true if a mark was consumed."""
        mark = "**>" if self.source.startswith("**>", self.at) else ">"
        if not self.source.startswith(mark, self.at):
            if self.quote is not None:
                self._end_quote()
            return False
        if self.quote is None or mark == "**>":
            if self.quote is not None:
                self._end_quote()
            kind = "expandable_blockquote" if mark == "**>" else "blockquote"
            self.quote = _Open(kind, utf16_length(self.text), self.at)
        self.at += len(mark)
        return True

    def _end_quote(self) -> None:
        quote, self.quote = self.quote, None
        if quote is None:
            return
        end = utf16_length(self.text.removesuffix("\n"))
        if self.open and self.open[-1].kind == "spoiler" and self.open[-1].start == end:
            # A closing || that opens nothing marks the quotation as expandable.
            self.open.pop()
            quote.kind = "expandable_blockquote"
        extent = self._extent(quote)
        if self.text.endswith("\n"):
            extent["length"] -= 1
        if extent["length"] > 0:
            self.entities.append({"type": quote.kind} | extent)


def parse_v2(source: str) -> tuple[str, list[Entity]]:
    return _MarkdownV2(source).parse()


_LEGACY = re.compile(
    r"\\(?P<escaped>[_*`\[])|```(?P<language>[^\s`]+\n)?(?P<pre>.*?)```|`(?P<code>[^`]*)`"
    r"|\*(?P<bold>[^*]*)\*|_(?P<italic>[^_]*)_|\[(?P<label>[^\]]*)\]\((?P<url>[^)]*)\)|(?P<open>[_*`\[])",
    re.DOTALL,
)


def parse_legacy(source: str) -> tuple[str, list[Entity]]:
    text = ""
    entities: list[Entity] = []
    at = 0
    for match in _LEGACY.finditer(source):
        text += source[at : match.start()]
        at = match.end()
        if match["open"]:
            raise fail(
                f"Can't find end of the entity starting at byte offset {len(source[: match.start()].encode())}"
            )
        kind = next(k for k in ("escaped", "pre", "code", "bold", "italic", "label") if match[k] is not None)
        extent = {"offset": utf16_length(text), "length": utf16_length(match[kind])}
        text += match[kind]
        entity = link_entity(match["url"], extent) if kind == "label" else {"type": kind} | extent
        if kind == "pre" and match["language"] and entity:
            entity["language"] = match["language"].strip()
        if entity and kind != "escaped" and extent["length"]:
            entities.append(entity)
    return text + source[at:], entities
