"""The conversations. Each is played in English and in Persian, which is written from right to left.

A scene has people and chats of its own, so that scenes can be played at the same time.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from world import Broken, Chat, Person, Stage

ADMIN_ID = 42
LANGUAGES = ("en", "fa")
NAMES = {"en": ("Ann", "Bob"), "fa": ("سارا", "رضا")}
TITLES = {"en": "A walk by the sea", "fa": "قدم‌زدن کنار دریا (HD)"}
# Only one scene at a time has the admin's own chat, and the cookies.
COOKIES = threading.Lock()
# Everything that limits the bot, so that the scenes can reach the limits.
OPTIONS = {
    "MEDIA_FETCH_OPTIONS": "--allow-private --max-duration 60s --deny-address 192.0.2.0/24 --concurrency 4 --min-rate 1",
    "MEDIA_ASK_OPTIONS": "--allow-private --wait 6s",
    "MEDIA_EXPAND_OPTIONS": "--allow-private --max-items 2",
    "MEDIA_TURNS_OPTIONS": "--report 1s --per-user 2 --requests-per-day 8",
    "TG_SEND_OPTIONS": "--progress-interval 300ms",
    "RATELIMIT_OPTIONS": "--limit 4 --window 60s --on-limit reply",
}


@dataclass(frozen=True)
class Scene:
    name: str
    title: str
    play: Callable[[Stage, str], list[Chat]]
    for_bots: bool
    for_accounts: bool
    is_short: bool


SCENES: list[Scene] = []


def scene(
    title: str, for_bots: bool = True, for_accounts: bool = False, is_short: bool = True
) -> Callable[[Callable[[Stage, str], list[Chat]]], None]:
    """Adds a scene. Accounts play those that are for accounts; `make test` plays the short ones."""

    def add(play: Callable[[Stage, str], list[Chat]]) -> None:
        SCENES.append(Scene(play.__name__.replace("_", "-"), title, play, for_bots, for_accounts, is_short))

    return add


def make_site(www: Path) -> None:
    """Makes the files of the web site, all of which are small."""
    clip = "-f lavfi -i testsrc=d={seconds}:r=10:s={size} -f lavfi -i sine=d={seconds} -shortest"
    silent = "-f lavfi -i testsrc=d=2:r=10:s=160x120"
    for name, source in [
        ("small", clip.format(seconds=2, size="160x120")), ("large", clip.format(seconds=2, size="320x240")),
        ("long", clip.format(seconds=65, size="64x48")), ("silent", silent),
    ]:  # fmt: skip
        command = f"ffmpeg -nostdin -v error {source} -pix_fmt yuv420p -movflags +faststart {www}/{name}.mp4"
        made = subprocess.run(command.split(), stderr=subprocess.PIPE, text=True, check=False)
        if made.returncode != 0:
            raise Broken(f"ffmpeg was unable to make {name}.mp4:\n{made.stderr}")
    (www / "big.bin").write_bytes(bytes(400_000))
    (www / "about.html").write_text("<!DOCTYPE html><title>About</title><p>Nothing to see here.</p>\n")
    (www / "words.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:02.000\nHello\n")


def make_cookies(folder: Path) -> None:
    """Makes the file of sites, which has no cookies yet, and files of cookies that people send."""

    def line(host: str, expiry: int = 2145916800) -> str:
        return f"{host}\tFALSE\t/\tFALSE\t{expiry}\tsid\tvalue\n"

    files = {
        "cookies.txt": "", "sites.toml": '[[site]]\nhost = "127.0.0.1"\ncookies = "cookies.txt"\n',
        "site.txt": line("127.0.0.1"), "bank.txt": line(".bank.example"), "old.txt": line("127.0.0.1", 1_500_000_000),
        "broken.txt": '[{"domain": "127.0.0.1", "name": "sid"}]',
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)


def people(stage: Stage, language: str) -> tuple[Person, Person]:
    ann, bob = NAMES[language]
    return stage.person(ann, language), stage.person(bob, language)


def film(stage: Stage, language: str, more: str = "") -> str:
    title = TITLES[language].replace(" ", "%20")
    return f"{stage.site}/choice/{language}?at=120:small.mp4&at=240:large.mp4&title={title}{more}"


def admin(language: str) -> Person:
    return Person(ADMIN_ID, {"en": "Olga", "fa": "مریم"}[language], language)


# --- Meeting


@scene("Greeting and help", for_accounts=True)
def greeting(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    chat.say(ann, "/start")
    chat.say(ann, "/help")
    return [chat]


@scene("A stranger is let in, and shut out again")
def stranger(stage: Stage, language: str) -> list[Chat]:
    name = NAMES[language][1]
    bob = stage.person(name, language, f"bob_{language}", is_let_in=False)
    chat, office = stage.private(bob), stage.group("Admins")
    olga = admin(language)
    chat.say(bob, "/start")
    # Strangers get one line an hour.
    chat.say(bob, f".vdl {stage.site}/small.mp4", silent=True)
    chat.say(bob, ".whoami")
    office.say(olga, f".bless @bob_{language} 7d")
    chat.say(bob, f".vdl {stage.site}/small.mp4?{bob.id}")
    chat.say(bob, ".whoami")
    chat.say(bob, ".bless 7")
    office.say(olga, f".hammer {bob.id} 2h")
    chat.say(bob, f".vdl {stage.site}/small.mp4", silent=True)
    chat.say(bob, ".whoami")
    office.say(olga, f".unhammer {bob.id}")
    office.say(olga, f".unhammer {bob.id}")
    return [chat, office]


@scene("The admin's commands and mistakes")
def admin_commands(stage: Stage, language: str) -> list[Chat]:
    olga = admin(language)
    bob = stage.person(NAMES[language][1], language, is_let_in=False)
    chat = stage.group("Film club", isGraced=False)
    # A group with a stranger in it: words that are no command are not meant for the bot.
    hello = chat.say(bob, "Hello!" if language == "en" else "سلام!", silent=True)
    chat.say(olga, ".whoami")
    chat.say(olga, ".whoami", to=hello)
    chat.say(olga, ".bless")
    chat.say(olga, ".bless @nobody_knows")
    chat.say(olga, f".hammer {ADMIN_ID}")
    chat.say(olga, ".grace 30d")
    chat.say(bob, ".whoami")
    chat.say(olga, ".smite")
    chat.say(bob, ".whoami")
    chat.say(bob, f".vdl {stage.site}/small.mp4", silent=True)
    chat.say(olga, ".unsmite")
    chat.say(olga, ".ungrace")
    return [chat]


@scene("Who is who in Arabic and German", is_short=False)
def other_languages(stage: Stage, language: str) -> list[Chat]:
    code, name = {"en": ("de", "Jörg"), "fa": ("ar", "ليلى")}[language]
    person = stage.person(name, code)
    chat = stage.private(person)
    for text in ("/start", "/help", ".whoami", "/prefer", "/usage", "/queue", "/stop", "/lang", ".vdl"):
        chat.say(person, text)
    return [chat]


# --- Requests


@scene("A link alone is a request")
def bare_link(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    chat.say(ann, film(stage, language))
    chat.say(ann, f"#sea {stage.site}/small.mp4?tag#t=1")
    return [chat]


@scene("Video, sound and a smaller picture", for_accounts=True)
def forms(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    chat.say(ann, f".vdl {film(stage, language)}")
    chat.say(ann, f".adl {film(stage, language)}")
    chat.say(ann, f"/vdl 120p {film(stage, language)}")
    chat.say(ann, f".adl opus {film(stage, language)}")
    return [chat]


@scene("A request as an answer to a message")
def replies(stage: Stage, language: str) -> list[Chat]:
    ann, bob = people(stage, language)
    chat = stage.group("Film club")
    link = chat.say(bob, f"{'Look' if language == 'en' else 'ببینید'}: {stage.site}/small.mp4?reply", silent=True)
    chat.say(ann, ".vdl", to=link)
    file = chat.send_file(bob, stage.services.www / "large.mp4", kind="video", duration=2, width=320, height=240)
    chat.expect_silence(file)
    chat.say(ann, ".adl", to=file)
    chat.say(ann, "/vdl@test_bot")
    return [chat]


@scene("A part of a video")
def parts(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    chat.say(ann, f".vdl 0:00-0:01 {film(stage, language)}")
    chat.say(ann, f".vdl 1:30-2:45 {film(stage, language)}")
    return [chat]


@scene("Subtitles, and those that there are not")
def subtitles(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    chat.say(ann, f".vdl en-subs {film(stage, language, '&track=en:words.vtt')}")
    chat.say(ann, f".vdl de-subs {film(stage, language, '&track=en:words.vtt')}")
    return [chat]


@scene("A file to keep, with a hashtag")
def files(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    tag = "#holiday" if language == "en" else "#تعطیلات"
    chat.say(ann, f".vdl file {tag} {film(stage, language)}")
    return [chat]


@scene("What is always preferred")
def preferences(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    chat.say(ann, "/prefer")
    chat.say(ann, "/prefer 120 file")
    chat.say(ann, f".vdl {film(stage, language)}")
    chat.say(ann, "/prefer 1:00-2:00")
    chat.say(ann, "/prefer off")
    return [chat]


# --- Choosing


@scene("Choosing from a keyboard")
def choosing(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    number = chat.write(ann, f".vdl? {film(stage, language, '&track=en:words.vtt')}")
    question = chat.question(number)
    chat.look()
    chat.press(ann, "120p", question)
    chat.wait(lambda: chat.is_answered(number), "no video")
    return [chat]


@scene("Choosing by a number", for_bots=False, for_accounts=True)
def choosing_by_number(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    number = chat.write(ann, f".vdl? {film(stage, language, '&track=en:words.vtt')}")
    chat.wait(lambda: any("3. " in answer.text for answer in chat.answers(number)), "no list")
    chat.look()
    chat.say(ann, "9")
    chat.say(ann, "3" if language == "en" else "۳")
    chat.wait(lambda: chat.is_answered(number), "no video")
    return [chat]


@scene("Nobody answers the question")
def no_choice(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    chat.say(ann, "/ask")
    chat.say(ann, "/ask on")
    number = chat.write(ann, film(stage, language))
    chat.question(number)
    chat.wait(lambda: chat.is_answered(number), "no video")
    chat.say(ann, "/ask off")
    return [chat]


@scene("Somebody else presses")
def foreign_press(stage: Stage, language: str) -> list[Chat]:
    ann, bob = people(stage, language)
    chat = stage.group("Film club")
    chat.say(bob, "/ask on")
    number = chat.write(ann, f".vdl? {film(stage, language)}")
    question = chat.question(number)
    chat.press(bob, "240p", question)
    chat.press(ann, "240p", question)
    chat.wait(lambda: chat.is_answered(number), "no video")
    return [chat]


# --- Waiting and ending


def _slow(stage: Stage, person: Person, number: int = 0) -> str:
    return f"{stage.site}/slow/4000/big.bin?{person.id}.{number}"


@scene("Cancelling by the button")
def cancel_button(stage: Stage, language: str) -> list[Chat]:
    ann, bob = people(stage, language)
    chat = stage.group("Film club")
    number = chat.write(ann, f".vdl {_slow(stage, ann)}")
    progress = chat.progress(number)
    chat.look()
    button = progress.buttons[0][0]
    chat.press(bob, button, progress)
    chat.press(ann, button, progress)
    chat.wait(lambda: chat.is_answered(number), "no end")
    return [chat]


@scene("Cancelling by an answer", for_accounts=True)
def cancel_answer(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    number = chat.write(ann, f".vdl {_slow(stage, ann)}")
    chat.wait(lambda: any("⬇️" in answer.text for answer in chat.answers(number)), "no progress")
    chat.say(ann, ".stop")
    chat.say(ann, ".stop", to=number)
    chat.wait(lambda: chat.is_answered(number), "no end")
    chat.say(ann, ".stop", to=chat.answers(number)[0])
    return [chat]


@scene("The queue and the day's share")
def queue(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    chat.say(ann, "/queue")
    numbers = [chat.write(ann, f".vdl {_slow(stage, ann, number)}") for number in range(3)]
    chat.wait(lambda: any("⏳" in answer.text for answer in chat.answers(numbers[2])), "no place in the queue")
    chat.wait(lambda: all("⬇️" in answer.text for n in numbers[:2] for answer in chat.answers(n)), "no progress")
    chat.say(ann, "/queue")
    chat.say(ann, "/usage")
    chat.look()
    for number in reversed(numbers):
        chat.say(ann, "/stop", to=number)
    chat.wait(lambda: all(chat.is_answered(number) for number in numbers), "no end")
    return [chat]


@scene("Too many requests")
def too_many(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    for number in range(5):
        chat.say(ann, f".vdl {stage.site}/small.mp4?many={number}")
    return [chat]


@scene("The day's share is used up", is_short=False)
def used_up(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    keys = [key for key in stage.redis("KEYS", f"*{day}*").split() if str(ann.id) in key]
    for number in range(9):
        # The limit of a minute comes before that of a day.
        for key in stage.redis("KEYS", f"*ratelimit*{ann.id}*").split():
            stage.redis("DEL", key)
        chat.say(ann, f".vdl {stage.site}/small.mp4?day={number % 2}")
    assert not keys
    return [chat]


# --- Lists


@scene("A list of videos")
def list_of_videos(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    number = chat.write(ann, f".vdl {stage.site}/feed?of=One:small.mp4&of=Two:large.mp4&of=Three:small.mp4%3F3")
    chat.wait(lambda: any("📚" in m.text for m in chat.messages() if m.is_bot), "the list does not end")
    assert number
    return [chat]


@scene("A list in which one is missing")
def list_with_failure(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    chat.write(ann, f".vdl 1-2 {stage.site}/feed?of=One:small.mp4%3Ff&of=Two:gone.mp4")
    chat.wait(lambda: any("❌" in m.text for m in chat.messages() if m.is_bot), "the list does not end")
    return [chat]


# --- Cookies


@scene("Cookies of a site")
def cookies(stage: Stage, language: str) -> list[Chat]:
    olga, bob = admin(language), stage.person(NAMES[language][1], language)
    folder = stage.services.folder
    with COOKIES:
        chat, group, other = stage.private(olga), stage.group("Film club"), stage.private(bob)
        chat.say(olga, f"/lang {language}")
        chat.say(olga, ".cookies")
        chat.say(olga, ".cookies now")
        for name in ("broken", "bank", "old"):
            chat.send_cookies(olga, folder / f"{name}.txt")
        other.say(bob, f".vdl {stage.site}/members/small?{language}")
        chat.send_cookies(olga, folder / "site.txt")
        chat.say(olga, ".cookies")
        other.say(bob, f".vdl {stage.site}/members/small?again&{language}")
        # A page that no login opens.
        other.say(bob, f".vdl {stage.site}/status/401?{language}")
        chat.wait(lambda: any(m.is_bot and "127.0.0.1" in m.text and "cookies.txt" in m.text for m in chat.messages()[-1:]), "no word")
        chat.say(olga, ".cookies forget nowhere.example")
        chat.say(olga, ".cookies forget 127.0.0.1")
        other.send_cookies(bob, folder / "site.txt", is_deleted=False)
        group.send_cookies(olga, folder / "site.txt", is_deleted=False)
        chats = [chat, group, other]
        # The next scene of the admin begins here.
        chat.close()
    return chats


# --- Refusals


@scene("What cannot be fetched", for_accounts=True)
def failures(stage: Stage, language: str) -> list[Chat]:
    ann, bob = people(stage, language)
    chat = stage.group("Film club")
    chat.say(ann, f".vdl {stage.site}/gone.mp4")
    chat.say(ann, f".vdl {stage.site}/about.html")
    chat.say(ann, f".vdl {stage.site}/status/403")
    chat.say(ann, f".adl {stage.site}/silent.mp4")
    chat.say(bob, ".vdl http://192.0.2.7/film.mp4")
    chat.say(bob, f".vdl {stage.site}/lie/90000000/small.mp4")
    chat.say(bob, f".vdl {stage.site}/long.mp4")
    chat.say(bob, f".vdl {stage.site}/status/401")
    return [chat]


@scene("Mistyped commands")
def typos(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    chat.say(ann, "/vld https://example.com/")
    chat.say(ann, ".hlep")
    chat.say(ann, "/frobnicate")
    chat.say(ann, ".vdl 72op https://example.com/")
    chat.say(ann, ".vdl")
    chat.say(ann, ".vdl ftp://example.com/film.mp4")
    return [chat]


@scene("Choosing a language")
def language_choice(stage: Stage, language: str) -> list[Chat]:
    ann, _ = people(stage, language)
    chat = stage.private(ann)
    chat.say(ann, "/lang")
    chat.say(ann, "/lang tlh")
    chat.say(ann, f"/lang {'fa' if language == 'en' else 'en'}")
    chat.say(ann, ".whoami")
    return [chat]
