"""The conversations. Each is played in English and in Persian, which is written from right to left.

A scene has people and chats of its own, so that scenes can be played at the same time.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from world import Broken, Chat, Person, Stage

ADMIN_ID = 42
LANGUAGES = ("en", "fa")
# Only one scene at a time has the admin's own chat, and the cookies.
COOKIES = threading.Lock()
# Everything that limits the bot, so that the scenes can reach the limits. There are more places than downloads at a time, so that no
# scene waits for another one; only --per-user makes people wait.
OPTIONS = {
    "MEDIA_FETCH_OPTIONS": "--allow-private --max-duration 60s --deny-address 192.0.2.0/24 --concurrency 24 --min-rate 1",
    "MEDIA_ASK_OPTIONS": "--allow-private --wait 15s",
    "MEDIA_EXPAND_OPTIONS": "--allow-private --max-items 2",
    "MEDIA_TURNS_OPTIONS": "--report 1s --per-user 2 --requests-per-day 5",
    "TG_SEND_OPTIONS": "--progress-interval 300ms",
    "RATELIMIT_OPTIONS": "--limit 4 --window 10m --on-limit reply",
}


@dataclass(frozen=True)
class Scene:
    name: str
    title: str
    play: Callable[[Stage], None]
    for_bots: bool
    for_accounts: bool
    is_short: bool


SCENES: list[Scene] = []


def scene(
    title: str, for_bots: bool = True, for_accounts: bool = False, is_short: bool = False
) -> Callable[[Callable[[Stage], None]], None]:
    """Adds a scene. Accounts play those that are for accounts; `make test` plays the short ones."""

    def add(play: Callable[[Stage], None]) -> None:
        SCENES.append(Scene(play.__name__.replace("_", "-"), title, play, for_bots, for_accounts, is_short))

    return add


def make_site(www: Path) -> None:
    """Makes the files of the web site, which take little space."""
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
    with (www / "big.mp4").open("wb") as file:
        file.truncate(40_000_000)
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


def people(stage: Stage) -> tuple[Person, Person]:
    return stage.person(stage.either("Ann", "سارا")), stage.person(stage.either("Bob", "رضا"))


def alone(stage: Stage) -> tuple[Person, Chat]:
    """Returns somebody in a private chat with the bot."""
    ann, _ = people(stage)
    return ann, stage.private(ann)


def in_group(stage: Stage) -> tuple[Person, Person, Chat]:
    return *people(stage), stage.group("Film club")


def admin(stage: Stage) -> Person:
    return Person(ADMIN_ID, stage.either("Olga", "مریم"), stage.language)


def film(stage: Stage, more: str = "") -> str:
    """Returns the address of a page whose player has a film in two sizes."""
    title = stage.either("A walk by the sea", "قدم‌زدن کنار دریا (HD)").replace(" ", "%20")
    return f"{stage.site}/choice/{stage.language}?at=120:small.mp4&at=240:large.mp4&title={title}{more}"


SUBTITLES = "&track=en:words.vtt"


def endless(stage: Stage, number: int = 1) -> str:
    """Returns the address of a file whose download takes longer than any scene."""
    return f"{stage.site}/slow/100000/big.mp4?{stage.name}.{stage.language}.{number}"


# --- Meeting


@scene("Greeting and help", for_accounts=True, is_short=True)
def greeting(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.say(ann, "/start", "/help")


@scene("A stranger is let in, and shut out again", is_short=True)
def stranger(stage: Stage) -> None:
    name = f"bob_{stage.language}"
    bob = stage.person(stage.either("Bob", "رضا"), name, is_let_in=False)
    olga = admin(stage)
    chat, office = stage.private(bob), stage.group("Admins")
    request = f".vdl {stage.site}/small.mp4?{stage.name}"
    chat.say(bob, "/start")
    # Strangers get one line an hour.
    chat.mention(bob, request)
    chat.say(bob, ".whoami")
    office.say(olga, f".bless @{name} 7d")
    chat.say(bob, request, ".whoami", ".bless 7")
    office.say(olga, f".hammer {bob.id} 2h")
    chat.mention(bob, request)
    chat.say(bob, ".whoami")
    office.say(olga, f".unhammer {bob.id}", f".unhammer {bob.id}")


@scene("The admin's commands and mistakes", is_short=True)
def admin_commands(stage: Stage) -> None:
    olga = admin(stage)
    bob = stage.person(stage.either("Bob", "رضا"), is_let_in=False)
    chat = stage.group("Film club", is_graced=False)
    # A group with a stranger in it: words that are no command are not meant for the bot.
    hello = chat.mention(bob, stage.either("Hello!", "سلام!"))
    chat.say(olga, ".whoami")
    chat.say(olga, ".whoami", to=hello)
    chat.say(olga, ".bless", ".bless @nobody_knows", f".hammer {ADMIN_ID}", ".grace 30d")
    chat.say(bob, ".whoami")
    chat.say(olga, ".smite")
    chat.say(bob, ".whoami")
    chat.mention(bob, f".vdl {stage.site}/small.mp4")
    chat.say(olga, ".unsmite", ".ungrace")


@scene("Who is who in Arabic and German", is_short=True)
def other_languages(stage: Stage) -> None:
    person = stage.person(stage.either("Jörg", "ليلى"), language=stage.either("de", "ar"))
    chat = stage.private(person)
    chat.say(person, "/start", "/help", ".whoami", "/prefer", "/usage", "/queue", "/stop", "/lang", ".vdl")


# --- Requests


@scene("A link alone is a request")
def bare_link(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.say(ann, film(stage), f"#sea {stage.site}/small.mp4?tag#t=1")


@scene("Video, sound and a smaller picture", for_accounts=True)
def forms(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.say(ann, f".vdl {film(stage)}", f".adl {film(stage)}", f"/vdl 120p {film(stage)}", f".adl opus {film(stage)}")


@scene("A request as an answer to a message", is_short=True)
def replies(stage: Stage) -> None:
    ann, bob, chat = in_group(stage)
    link = chat.mention(bob, f"{stage.either('Look', 'ببینید')}: {stage.site}/small.mp4?reply")
    chat.say(ann, ".vdl", to=link)
    file = chat.show(bob, stage.services.www / "large.mp4", "video", duration=2, width=320, height=240)
    chat.say(ann, ".adl", to=file)
    chat.say(ann, "/vdl@test_bot")


@scene("A part of a video")
def parts(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.say(ann, f".vdl 0:00-0:01 {film(stage)}", f".vdl 1:30-2:45 {film(stage)}")


@scene("Subtitles, and those that there are not")
def subtitles(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.say(ann, f".vdl en-subs {film(stage, SUBTITLES)}", f".vdl de-subs {film(stage, SUBTITLES)}")


@scene("A file to keep, with a hashtag")
def files(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.say(ann, f".vdl file {stage.either('#holiday', '#تعطیلات')} {film(stage)}")


@scene("What is always preferred")
def preferences(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.say(ann, "/prefer", "/prefer 120 file", f".vdl {film(stage)}", "/prefer 1:00-2:00", "/prefer off")


# --- Choosing


@scene("Choosing from a keyboard", is_short=True)
def choosing(stage: Stage) -> None:
    ann, chat = alone(stage)
    number = chat.write(ann, f".vdl? {film(stage, SUBTITLES)}")
    question = chat.question(number)
    chat.look()
    chat.press(ann, "120p", question)
    chat.result(number)


@scene("Choosing by a number", for_bots=False, for_accounts=True)
def choosing_by_number(stage: Stage) -> None:
    ann, chat = alone(stage)
    number = chat.write(ann, f".vdl? {film(stage, SUBTITLES)}")
    chat.note("3. ")
    chat.look()
    chat.say(ann, "9", stage.either("3", "۳"))
    chat.result(number)


@scene("Nobody answers the question")
def no_choice(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.say(ann, "/ask", "/ask on")
    number = chat.write(ann, film(stage))
    chat.question(number)
    chat.result(number)
    chat.say(ann, "/ask off")


@scene("Somebody else presses")
def foreign_press(stage: Stage) -> None:
    ann, bob, chat = in_group(stage)
    chat.say(bob, "/ask on")
    number = chat.write(ann, f".vdl? {film(stage)}")
    question = chat.question(number)
    chat.press(bob, "240p", question)
    chat.press(ann, "240p", question)
    chat.result(number)


# --- Waiting and ending


@scene("Cancelling by the button", is_short=True)
def cancel_button(stage: Stage) -> None:
    ann, bob, chat = in_group(stage)
    number = chat.write(ann, f".vdl {endless(stage)}")
    progress = chat.progress(number)
    chat.look()
    for person in (bob, ann):
        chat.press(person, progress.buttons[0][0], progress)
    chat.note("🚫")


@scene("Cancelling by an answer", for_accounts=True, is_short=True)
def cancel_answer(stage: Stage) -> None:
    ann, chat = alone(stage)
    number = chat.write(ann, f".vdl {endless(stage)}")
    chat.progress(number)
    chat.say(ann, ".stop")
    chat.say(ann, ".stop", to=number)
    chat.say(ann, ".stop", to=chat.note("🚫"))


@scene("The queue and the day's share", is_short=True)
def queue(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.await_day()
    chat.say(ann, "/queue")
    numbers: list[int] = []
    # Two of one person are worked on at once, so the third one waits.
    for sign in ("⬇️", "⬇️", stage.either("place 1", "نوبت 1")):
        numbers.append(chat.write(ann, f".vdl {endless(stage, len(numbers) + 1)}"))
        chat.progress(numbers[-1], sign)
    chat.say(ann, "/queue", "/usage")
    chat.look()
    for request in reversed(numbers):
        chat.say(ann, "/stop", to=request)
        chat.wait(lambda: chat.is_answered(request), "no end")


@scene("Too many requests", is_short=True)
def too_many(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.say(ann, *(f".vdl {stage.site}/small.mp4?many={number}" for number in range(5)))
    # Until more is allowed, further requests get no answer, so that nobody can make the bot flood a group.
    chat.mention(ann, f".vdl {stage.site}/small.mp4?many=5")


@scene("The day's share is used up", is_short=True)
def used_up(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.await_day()
    for number in range(7):
        # The limit of a few minutes would come before that of a day.
        for key in stage.redis("KEYS", f"tgpipe:rate:*{{{ann.id}}}*").split():
            stage.redis("DEL", key)
        chat.say(ann, f".vdl {stage.site}/small.mp4?{stage.name}.{stage.language}.{number % 2}")
    chat.say(ann, "/usage")


# --- Lists


@scene("A list of videos", is_short=True)
def list_of_videos(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.write(ann, f".vdl {stage.site}/feed?of=One:small.mp4&of=Two:large.mp4&of=Three:small.mp4%3F3")
    chat.note("📚")


@scene("A list in which one is missing", is_short=True)
def list_with_failure(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.write(ann, f".vdl 1-2 {stage.site}/feed?of=One:small.mp4%3Ff&of=Two:gone.mp4")
    chat.note("❌")


# --- Cookies


@scene("Cookies of a site")
def cookies(stage: Stage) -> None:
    olga, bob = admin(stage), people(stage)[1]
    folder, language = stage.services.folder, stage.language
    with COOKIES:
        chat, group, other = stage.private(olga), stage.group("Film club"), stage.private(bob)
        chat.say(olga, f"/lang {language}", ".cookies", ".cookies now")
        for name in ("broken", "bank", "old"):
            chat.send_cookies(olga, folder / f"{name}.txt")
        other.say(bob, f".vdl {stage.site}/members/small?{language}")
        chat.send_cookies(olga, folder / "site.txt")
        chat.say(olga, ".cookies")
        other.say(bob, f".vdl {stage.site}/members/small?again&{language}")
        # A page that no login opens.
        other.say(bob, f".vdl {stage.site}/status/401?{language}")
        chat.note("🍪 ", "cookies.txt", stage.either("does not accept", "نمی‌پذیرد"))
        chat.say(olga, ".cookies forget nowhere.example", ".cookies forget 127.0.0.1")
        other.send_cookies(bob, folder / "site.txt")
        group.send_cookies(olga, folder / "site.txt", is_deleted=False)
        # The next scene of the admin begins here.
        chat.close()


# --- Refusals


@scene("What cannot be fetched", for_accounts=True)
def failures(stage: Stage) -> None:
    ann, bob, chat = in_group(stage)
    site = stage.site
    chat.say(ann, *(f".vdl {site}/{path}" for path in ("gone.mp4", "about.html", "status/403")), f".adl {site}/silent.mp4")
    chat.say(bob, ".vdl http://192.0.2.7/film.mp4")
    chat.say(bob, *(f".vdl {site}/{path}" for path in ("lie/90000000/small.mp4", "long.mp4", "status/401")))


@scene("Mistyped commands", is_short=True)
def typos(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.say(ann, "/vld https://example.com/", ".hlep", "/frobnicate")
    chat.say(ann, ".vdl 72op https://example.com/", ".vdl", ".vdl ftp://example.com/film.mp4")


@scene("Choosing a language", is_short=True)
def language_choice(stage: Stage) -> None:
    ann, chat = alone(stage)
    chat.say(ann, "/lang", "/lang tlh", f"/lang {stage.either('fa', 'en')}", ".whoami")
