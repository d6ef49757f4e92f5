"""The demo's messages, and the checks of the bot's answers to them."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chat import Person, Site, wait_until
from services import Broken, Services
from transcript import Transcript

Json = dict[str, Any]
ADMIN = Person(42, "Alice", "alice")
STRANGER = Person(99, "Bob", "bob")
PATIENCE_SECONDS = 60
CLIP_SECONDS = 8
# The pause between an answer and the next message, so that a person can read along.
READING_SECONDS = 1.5
# The path makes the site send the clip slowly enough for the progress to be visible.
CLIP = "slow/200000/clip.mp4"
CORRELATION_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")


def make_site(www: Path) -> None:
    """Makes the site's files: a real clip, which one page shows, and a page without a video."""
    folder = (www / CLIP).parent
    folder.mkdir(parents=True)
    made = subprocess.run(
        ["ffmpeg", "-nostdin", "-loglevel", "error",
         "-f", "lavfi", "-i", f"testsrc2=size=640x360:rate=25:duration={CLIP_SECONDS}",
         "-f", "lavfi", "-i", f"sine=frequency=440:duration={CLIP_SECONDS}",
         "-c:v", "libx264", "-preset", "veryfast", "-b:v", "800k", "-pix_fmt", "yuv420p",
         "-c:a", "aac", "-shortest", "-movflags", "+faststart", str(www / "clip.mp4")],
        stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if made.returncode != 0:
        raise Broken(f"ffmpeg was unable to make a clip:\n{made.stderr}")
    # The page links to the clip by the slow path, and expects the file at that path.
    (www / CLIP).hardlink_to(www / "clip.mp4")
    (www / "about.html").write_text("<!DOCTYPE html><title>About</title><p>Nothing to see here.</p>\n")


class Scenario:
    """Writes the messages of the demo and checks the answers."""

    def __init__(self, services: Services, check: Callable[[bool, str], None]) -> None:
        self._services = services
        self._telegram = services.telegram
        self._site = Site(services.site_url)
        self._check = check
        self._page = f"{services.site_url}/page/{CLIP}?title=A%20test%20card"
        self._transcripts = {person: Transcript(self._telegram, person) for person in (ADMIN, STRANGER)}

    def play(self) -> None:
        self._asks_for_a_video()
        self._asks_again()
        self._asks_for_the_sound()
        self._asks_for_what_is_not_there()
        self._asks_for_what_is_no_video()
        self._stranger_asks()
        self._admin_blesses()
        self._stranger_asks_again()
        self._people_ask_who_they_are()

    # Each step sends one message and checks the answers to it.

    def _asks_for_a_video(self) -> None:
        question = self._say(ADMIN, f".vdl {self._page}", self._has_media("video"))
        video = self._answer(question, "video")
        self._check(video is not None, "the bot answers with a video")
        first = self._answers(question)[:1]
        reply = next((record for record in first if "text" in record["message"]), None)
        self._check(reply is not None, "a placeholder reply came first")
        self._check(bool(reply and reply["edits"]), "the placeholder reply showed progress")
        self._check(bool(reply and reply["deleted"]), "the placeholder reply was removed at the end")
        caption = (video or {}).get("caption", "")
        self._check(bool(re.search(r"⏱ [\d.]+ m?s\b", caption)), "the caption shows the elapsed time")
        self._check(self._is_in_all_logs(caption), "the caption's correlation id is in the logs of all tools")
        streams = self._streams(video, "video")
        self._check(streams == {"video", "audio"}, "the file has a video and an audio stream")
        self._check(self._site.visits("/page/") > 0, "yt-dlp read the page")
        self._first_video = video

    def _asks_again(self) -> None:
        before = self._fetches(), self._uploads()
        question = self._say(ADMIN, f".vdl {self._page}&utm_source=newsletter", self._has_media("video"))
        video = self._answer(question, "video")
        self._check(self._is_same_file(video), "another spelling of the URL leads to the same video")
        after = self._fetches(), self._uploads()
        self._check(video is not None and before == after, "the second request caused no fetch and no upload")

    def _asks_for_the_sound(self) -> None:
        before = self._fetches()
        question = self._say(ADMIN, f".adl {self._page}", self._has_media("audio"))
        audio = self._answer(question, "audio")
        self._check(self._streams(audio, "audio") == {"audio"}, "the bot answers with an audio file")
        self._check(audio is not None and audio["audio"]["mime_type"] == "audio/mpeg", "the audio file is an mp3")
        self._check(audio is not None and self._fetches() == before, "the audio came from the stored video, without another fetch")

    def _asks_for_what_is_not_there(self) -> None:
        question = self._say(ADMIN, f".vdl {self._services.site_url}/page/gone.mp4", self._has_error)
        self._check_error(question, "a missing page (404)")

    def _asks_for_what_is_no_video(self) -> None:
        question = self._say(ADMIN, f".vdl {self._services.site_url}/about.html", self._has_error)
        self._check_error(question, "a page without a video")

    def _check_error(self, question: Json, what: str) -> None:
        shown = [record for record in self._answers(question) if not record["deleted"]]
        texts = [record["message"].get("text", "") for record in shown]
        good = len(texts) == 1 and texts[0].startswith("❌") and "\n" not in texts[0] and "Traceback" not in texts[0]
        self._check(good, f"{what} is answered with one line that gives the reason")

    def _stranger_asks(self) -> None:
        self._say(STRANGER, f".vdl {self._page}", lambda question: self._telegram.all_taken())

    def _admin_blesses(self) -> None:
        question = self._say(ADMIN, f".bless @{STRANGER.username}", self._has_reaction)
        self._check(self._has_reaction(question), "the bot acknowledges .bless with a reaction")
        # The bot answers in order, so an answer to the earlier message of the stranger would be in the chat by now.
        answers = [record for record in self._telegram.chat(STRANGER) if self._telegram.is_answer(record["message"])]
        if self._services.is_account:
            self._check(not answers, "an account gives an unauthorised user no answer")
            return
        texts = [record["message"].get("text", "") for record in answers]
        told = len(texts) == 1 and f".bless {STRANGER.id}" in texts[0]
        self._check(told, "an unauthorised user gets no video, but one line with the id for the admin")

    def _stranger_asks_again(self) -> None:
        before = self._fetches(), self._uploads()
        question = self._say(STRANGER, f".vdl {self._page}", self._has_media("video"))
        video = self._answer(question, "video")
        self._check(video is not None, "after .bless, the same user gets the video")
        self._check(self._is_same_file(video) and before == (self._fetches(), self._uploads()), "the video came from the cache")

    def _people_ask_who_they_are(self) -> None:
        for person, status in ((STRANGER, "let in"), (ADMIN, "admin")):
            question = self._say(person, ".whoami", self._has_text)
            texts = [record["message"]["text"] for record in self._answers(question)]
            good = len(texts) == 1 and str(person.id) in texts[0] and status in texts[0]
            self._check(good, f".whoami answers {person.name}: {status}")

    # Sending messages and waiting for answers.

    def _say(self, person: Person, text: str, is_answered: Callable[[Json], bool]) -> Json:
        """Sends a message, prints the chat until the message is answered, and returns the message."""
        time.sleep(READING_SECONDS)
        question = self._telegram.say(person, text)

        def is_over() -> bool:
            if not self._services.is_bot_up():
                raise Broken("the bot has ended")
            return is_answered(question)

        if not wait_until(is_over, PATIENCE_SECONDS, self._transcripts[person].update):
            print(f"           … no answer within {PATIENCE_SECONDS} s", flush=True)
        return question

    def _answers(self, question: Json) -> list[Json]:
        """Returns the bot's replies to a message, in order."""
        person = next(person for person in self._transcripts if person.id == question["chat"]["id"])
        return [
            record
            for record in self._telegram.chat(person)
            if record["message"].get("reply_to_message", {}).get("message_id") == question["message_id"]
        ]

    def _answer(self, question: Json, kind: str) -> Json | None:
        return next((record["message"] for record in self._answers(question) if kind in record["message"]), None)

    def _has_media(self, kind: str) -> Callable[[Json], bool]:
        def has(question: Json) -> bool:
            """Returns whether the media file is the only visible answer, or the answer is an error."""
            shown = [record["message"] for record in self._answers(question) if not record["deleted"]]
            return self._has_error(question) or (bool(shown) and all(kind in message for message in shown))

        return has

    def _has_error(self, question: Json) -> bool:
        return any(record["message"].get("text", "").startswith("❌") for record in self._answers(question))

    def _has_text(self, question: Json) -> bool:
        return any("text" in record["message"] for record in self._answers(question))

    def _has_reaction(self, question: Json) -> bool:
        records = self._telegram.chat(ADMIN)
        return any(r["reactions"] for r in records if r["message"]["message_id"] == question["message_id"])

    # Checks outside the chat: the site's log, the uploads and the files.

    def _fetches(self) -> int:
        return self._site.visits(f"/{CLIP}")

    def _uploads(self) -> int:
        return self._telegram.uploads()

    def _is_same_file(self, message: Json | None) -> bool:
        if message is None or self._first_video is None:
            return False
        return bool(message["video"]["file_unique_id"] == self._first_video["video"]["file_unique_id"])

    def _streams(self, message: Json | None, kind: str) -> set[str]:
        """Returns the stream types that ffprobe finds in a message's file; none if the file is not as long as the clip."""
        if message is None:
            return set()
        file = self._services.folder / f"received.{kind}"
        file.write_bytes(self._telegram.file(message[kind]["file_unique_id"]))
        probe = subprocess.run(
            ["ffprobe", "-loglevel", "error", "-show_streams", "-show_format", "-of", "json", str(file)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        facts = json.loads(probe.stdout or "{}")
        if abs(float(facts.get("format", {}).get("duration", 0)) - CLIP_SECONDS) > 1:
            return set()
        return {stream["codec_type"] for stream in facts["streams"]}

    def _is_in_all_logs(self, caption: str) -> bool:
        found = CORRELATION_ID.search(caption)
        if found is None:
            return False
        tools = ("tg-listen", "tg-gate", "media-fetch", "blob-put", "tg-send")
        lines = [json.loads(line) for line in self._services.log.read_text().splitlines() if found[0] in line]
        return {line.get("tool") for line in lines}.issuperset(tools)
