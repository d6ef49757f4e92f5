"""The programs that the ingestion is compared with, each written as its users write it. Prints what it did as JSON.

    ingest_peers.py telethon DATABASE CONTROL CHAT LAST SESSION…    reads a history as Telethon's users do, a page at a time
    ingest_peers.py copy DATABASE FILE [text|jsonb|none]            COPY by asyncpg, straight into the table, with the messages
                                                                    as they were written in this form
    ingest_peers.py upsert DATABASE FILE                            COPY into a staging table, and INSERT … ON CONFLICT
    ingest_peers.py rows DATABASE FILE COUNT                        SQLAlchemy, a row at a time
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import resource
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import asyncpg
import orjson

BATCH = 5000
# Telegram-Archive's transactions have so many messages.
SMALL_BATCH = 100
COLUMNS = (
    "chat_id", "message_id", "date", "edit_date", "sender_id", "text", "reply_to_id", "topic_id", "album_id", "views", "forwards",
    "raw",
)  # fmt: skip
TABLE = """CREATE TABLE messages (chat_id bigint NOT NULL, message_id bigint NOT NULL, date timestamptz NOT NULL,
    edit_date timestamptz, sender_id bigint, text text, reply_to_id bigint, topic_id bigint, album_id bigint, views bigint,
    forwards bigint, raw text, PRIMARY KEY (chat_id, message_id))"""
Row = tuple[Any, ...]


def at(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def rows_of(file: Path, *, with_raw: bool = True) -> Iterator[Row]:
    """Returns the messages of a file of envelopes; the last column is the message as JSON, if it is wanted."""
    with file.open("rb") as lines:
        for line in lines:
            payload = orjson.loads(line)["payload"]
            body = payload.get("message") or payload.get("channel_post")
            if body is None:
                continue
            counters = payload.get("counters") or {}
            sender = body.get("from") or body.get("sender_chat") or {}
            reply, album = body.get("reply_to_message") or {}, body.get("media_group_id")
            row = (
                body["chat"]["id"], body["message_id"], at(body["date"]), at(body.get("edit_date")), sender.get("id"),
                body.get("text") or body.get("caption"), reply.get("message_id"), body.get("message_thread_id"),
                int(album) if album else None, counters.get("views"), counters.get("forwards"),
            )  # fmt: skip
            yield (*row, orjson.dumps(body).decode()) if with_raw else row


def batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for one in rows:
        batch.append(one)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


async def copy(database: str, file: str, form: str = "text") -> int:
    connection = await asyncpg.connect(database)
    with_raw = form != "none"
    await connection.execute(TABLE.replace("raw text", f"raw {form}") if with_raw else TABLE.replace("raw text, ", ""))
    columns = COLUMNS if with_raw else COLUMNS[:-1]
    count = 0
    for batch in batches(rows_of(Path(file), with_raw=with_raw), BATCH):
        await connection.copy_records_to_table("messages", records=batch, columns=columns)
        count += len(batch)
    await connection.close()
    return count


async def upsert(database: str, file: str) -> int:
    connection = await asyncpg.connect(database)
    await connection.execute(TABLE)
    await connection.execute("CREATE TEMP TABLE staged (LIKE messages) ON COMMIT DELETE ROWS")
    names = ", ".join(COLUMNS[2:])
    new = ", ".join(f"excluded.{name}" for name in COLUMNS[2:])
    statement = f"INSERT INTO messages SELECT * FROM staged ON CONFLICT (chat_id, message_id) DO UPDATE SET ({names}) = ({new})"
    count = 0
    for batch in batches(rows_of(Path(file)), BATCH):
        async with connection.transaction():
            await connection.copy_records_to_table("staged", records=batch, columns=COLUMNS)
            await connection.execute(statement)
        count += len(batch)
    await connection.close()
    return count


async def rows(database: str, file: str, limit: str) -> int:
    import sqlalchemy
    from sqlalchemy.dialects.postgresql import insert
    from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
    from sqlalchemy.orm import DeclarativeBase, mapped_column

    class Base(DeclarativeBase):
        pass

    class Message(Base):
        __tablename__ = "messages"
        chat_id = mapped_column(sqlalchemy.BigInteger, primary_key=True)
        message_id = mapped_column(sqlalchemy.BigInteger, primary_key=True)
        date = mapped_column(sqlalchemy.DateTime(timezone=True))
        edit_date = mapped_column(sqlalchemy.DateTime(timezone=True))
        sender_id = mapped_column(sqlalchemy.BigInteger)
        text = mapped_column(sqlalchemy.Text)
        reply_to_id = mapped_column(sqlalchemy.BigInteger)
        topic_id = mapped_column(sqlalchemy.BigInteger)
        album_id = mapped_column(sqlalchemy.BigInteger)
        views = mapped_column(sqlalchemy.BigInteger)
        forwards = mapped_column(sqlalchemy.BigInteger)
        raw = mapped_column(sqlalchemy.Text)

    # SQLAlchemy's own name for the driver; the folder of the socket is asyncpg's argument.
    address, _, folder = database.partition("?host=")
    engine = create_async_engine(address.replace("postgresql:", "postgresql+asyncpg:"), connect_args={"host": folder})
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    sessions, count = async_sessionmaker(engine), 0
    for batch in batches(rows_of(Path(file)), SMALL_BATCH):
        batch = batch[: int(limit) - count]
        async with sessions() as session:
            for one in batch:
                values = dict(zip(COLUMNS, one, strict=True))
                statement = insert(Message).values(**values)
                keys = {"chat_id", "message_id"}
                changed = {name: statement.excluded[name] for name in values if name not in keys}
                await session.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=changed))
            await session.commit()
        count += len(batch)
        if count >= int(limit):
            break
    await engine.dispose()
    return count


async def telethon(database: str, control: str, chat_id: str, last: str, *accounts: str) -> int:
    """A fetcher for each session, and one writer behind a queue."""
    pool = await asyncpg.create_pool(database, min_size=1, max_size=len(accounts))
    await pool.execute(TABLE)
    names = ", ".join(f"${number}" for number in range(1, len(COLUMNS) + 1))
    statement = f"INSERT INTO messages VALUES ({names}) ON CONFLICT (chat_id, message_id) DO NOTHING"
    queue: asyncio.Queue[list[Row]] = asyncio.Queue(20)
    count, share = 0, -(-int(last) // len(accounts))

    async def store() -> None:
        nonlocal count
        while True:
            batch = await queue.get()
            await pool.executemany(statement, batch)
            count += len(batch)
            queue.task_done()

    writers = [asyncio.create_task(store()) for _ in accounts]
    spans = [(number * share, min((number + 1) * share, int(last))) for number in range(len(accounts))]
    await asyncio.gather(
        *(_fetch(control, int(chat_id), name, span, queue) for name, span in zip(accounts, spans, strict=True))
    )
    await queue.join()
    for writer in writers:
        writer.cancel()
    await pool.close()
    return count


async def _fetch(control: str, chat_id: int, account: str, span: tuple[int, int], queue: asyncio.Queue[list[Row]]) -> None:
    client = _client(control, account)
    await client.connect()
    await client.get_dialogs()
    batch: list[Row] = []
    low, high = span
    async for message in client.iter_messages(chat_id, offset_id=high + 1, min_id=low, wait_time=0):
        batch.append(_row(message))
        if len(batch) == SMALL_BATCH:
            await queue.put(batch)
            batch = []
    if batch:
        await queue.put(batch)
    await client.disconnect()


def _row(message: Any) -> Row:
    reply = message.reply_to
    raw = orjson.dumps(message.to_dict(), default=lambda value: value.hex() if isinstance(value, bytes) else str(value)).decode()
    return (
        message.chat_id, message.id, message.date, getattr(message, "edit_date", None), message.sender_id,
        getattr(message, "message", None), reply.reply_to_msg_id if reply else None, reply.reply_to_top_id if reply else None,
        getattr(message, "grouped_id", None), getattr(message, "views", None), getattr(message, "forwards", None), raw,
    )  # fmt: skip


def _client(control: str, account: str) -> Any:
    from telethon import TelegramClient
    from telethon.crypto import rsa
    from telethon.sessions import StringSession

    def ask(path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{control}/control/mtproto{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    about = ask("")
    rsa.add_key(about["public_key"], old=False)
    session = ask("/session", {"account": account})["telethon"]
    # Floods are waited for, however long they last.
    return TelegramClient(StringSession(session), about["api_id"], about["api_hash"], flood_sleep_threshold=86_400)


_LOADED = {"telethon": ("telethon", "telethon.sessions"), "rows": ("sqlalchemy.ext.asyncio", "sqlalchemy.orm")}
PEERS: dict[str, Callable[..., Awaitable[int]]] = {"telethon": telethon, "copy": copy, "upsert": upsert, "rows": rows}


def main() -> None:
    peer, arguments = PEERS[sys.argv[1]], sys.argv[2:]
    # Loading takes half a second, which would weigh too much for a few messages.
    for name in _LOADED.get(sys.argv[1], ()):
        importlib.import_module(name)
    started, processor = time.perf_counter(), time.process_time()
    count: int = asyncio.run(peer(*arguments))  # type: ignore[arg-type]
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "messages": count, "seconds": seconds, "processor_seconds": processor,
        "megabytes": used.ru_maxrss * 1024 / 1e6, "pid": os.getpid(),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
