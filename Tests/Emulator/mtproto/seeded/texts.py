"""The words of seeded messages: several scripts, directions and emoji, and entities of most kinds."""

from __future__ import annotations

import random
from typing import Any

from botapi.entities import utf16_length

from ..tl import types

NUMBER = "7318250469"
"""Stands in a text for the ten digits that a message puts there: its version and its id."""
_SENTENCES = [
    "The train to the coast leaves at nine, so please be at the station early.",
    "Could somebody send me yesterday's notes? I missed the second half of the talk.",
    "Release 4.2 is out: faster start, fewer crashes, and the search finally finds things.",
    "I disagree, but I see your point. Let us measure it before we argue any further.",
    "Prices went up again; see the table below.\nBread 3.20\nMilk 1.45\nEggs 4.10",
    "Доброе утро! Сегодня обещают дождь, не забудьте взять зонт.",
    "Собрание переносится на четверг, повестка остаётся прежней.",
    "Кто-нибудь знает, где найти исправленную версию документа?",
    "مرحبا بالجميع، الاجتماع غدا في الساعة الخامسة مساء.",
    "שלום לכולם, המסמך המעודכן נמצא בקישור למטה.",
    "会议改到下周三，请大家提前准备好材料。",
    "新しいバージョンを試しました。とても速いです！",
    "Das Treffen fällt aus, weil der Saal überschwemmt ist.",
    "¿Alguien sabe cuándo abre la biblioteca mañana?",
    "Le café est prêt ☕️, la réunion commence dans dix minutes.",
    "👍",
    "😂😂😂 that is exactly what happened to us 🇩🇪🇫🇷",
    "👩‍👩‍👧‍👦 family photo from the weekend 🏖️",
    "Ok.",
    "Thanks!",
    "A quote: \"Well begun is half done\" – and a back\\slash, a\ttab and a 'quote' for good measure.",
]  # fmt: skip
_NAMES = ["Ada", "Boris", "Chen", "Dalia", "Emre", "Farah", "Goran", "Hana", "Ivo", "Jun", "Katya", "Liam", "Mina",
          "Noor", "Олег", "Петра", "Qadir", "שרה", "ياسر", "Zoë"]  # fmt: skip
_PLAIN = [
    types.MessageEntityBold, types.MessageEntityItalic, types.MessageEntityUnderline, types.MessageEntityStrike,
    types.MessageEntitySpoiler, types.MessageEntityCode,
]  # fmt: skip


def name_of(number: int) -> str:
    return _NAMES[number % len(_NAMES)]


def title_of(chance: random.Random) -> str:
    return f"{chance.choice(_NAMES)}'s {chance.choice(['news', 'club', 'archive', 'kitchen', 'workshop'])}"


def sentence(chance: random.Random) -> str:
    return chance.choice(_SENTENCES)


def text(chance: random.Random, longest: int = 6) -> str:
    """Returns sentences with the number somewhere between them."""
    parts = [sentence(chance) for _ in range(chance.randint(1, longest))]
    parts.insert(chance.randint(0, len(parts)), f"#{NUMBER}")
    return chance.choice([" ", "\n"]).join(parts)


def entities(chance: random.Random, shown: str, users: list[int]) -> list[Any]:
    """Returns entities that do not overlap, in order."""
    found: list[Any] = []
    place = chance.randint(0, 3)
    while place < len(shown) and len(found) < 4:
        length = min(chance.randint(1, 12), len(shown) - place)
        covered = shown[place : place + length]
        if covered.strip() == covered:
            # Offsets and lengths are told in UTF-16.
            found.append(_entity(chance, utf16_length(shown[:place]), utf16_length(covered), users))
        place += length + chance.randint(0, 3)
    return found


def _entity(chance: random.Random, place: int, length: int, users: list[int]) -> Any:
    kind = chance.randint(0, 9)
    if kind == 0:
        return types.MessageEntityTextUrl(place, length, f"https://example.org/{chance.randint(1, 999)}")
    if kind == 1 and users:
        return types.MessageEntityMentionName(place, length, chance.choice(users))
    if kind == 2:
        return types.MessageEntityCustomEmoji(place, length, chance.getrandbits(60))
    if kind == 3:
        return types.MessageEntityBlockquote(place, length, collapsed=chance.random() < 0.5 or None)
    return chance.choice(_PLAIN)(place, length)
