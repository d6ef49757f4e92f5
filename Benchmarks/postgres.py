"""Runs a private PostgreSQL, and tells what it did."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAMS = Path("/usr/lib/postgresql")
# The server refuses to run as root.
SERVANTS = ("postgres", "nobody")


class Postgres:
    def __init__(self, programs: Path, folder: Path, identity: dict[str, Any]) -> None:
        self.folder = folder
        self._programs, self._identity = programs, identity

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://bench@/{database}?host={self.folder}"

    def run(self, program: str, *arguments: str) -> str:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", **self._identity)
        if done.returncode != 0:
            sys.exit(f"error: {program} failed: {done.stderr.strip() or done.stdout.strip()}")
        return str(done.stdout)

    def digest(self, statement: str, database: str) -> str:
        """Returns the SHA-256 of what a `COPY … TO STDOUT` writes."""
        command = [str(self._programs / "psql"), "-X", "-q", "-h", str(self.folder), "-U", "bench", "-d", database, "-c", statement]
        hashed = hashlib.sha256()
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd="/", **self._identity) as process:
            assert process.stdout is not None
            while piece := process.stdout.read(1 << 20):
                hashed.update(piece)
        if process.returncode != 0:
            sys.exit("error: psql failed: see above")
        return hashed.hexdigest()

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Returns the rows as psql prints them without decoration."""
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-U", "bench", "-d",
                        database, "-c", statement).strip()  # fmt: skip

    def create(self, database: str) -> str:
        """Makes an empty database in place of one of that name. Returns its URL."""
        self.sql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        self.sql(f"CREATE DATABASE {database}")
        self.sql("CHECKPOINT")
        return self.url(database)

    @property
    def pid(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def processor_seconds(self) -> float:
        """Returns the time of the server and of all its processes, those that have ended included."""
        # A process that is just ending would be missed.
        time.sleep(0.3)
        ticks = os.sysconf("SC_CLK_TCK")
        total = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(path.parent.name) == self.pid:
                total += sum(int(field) for field in fields[11:15])
            elif int(fields[1]) == self.pid:
                total += int(fields[11]) + int(fields[12])
        return total / ticks

    def wal_bytes(self) -> int:
        return int(self.sql("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"))


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Runs a server with default settings on a Unix socket in a folder of its own."""
    programs = next((path / "bin" for path in sorted(PROGRAMS.glob("*"), reverse=True) if (path / "bin/initdb").exists()), None)
    if programs is None:
        sys.exit("error: unable to find PostgreSQL: apt-get install postgresql")
    folder, identity = Path(f"/tmp/tgpipe-postgres-{os.getpid()}"), {}
    folder.mkdir(mode=0o755)
    if os.geteuid() == 0:
        servant = next(known for known in map(_known, SERVANTS) if known is not None)
        os.chown(folder, servant.pw_uid, servant.pw_gid)
        identity = {"user": servant.pw_uid, "group": servant.pw_gid, "extra_groups": []}
    server = Postgres(programs, folder, identity)
    try:
        data = str(folder / "data")
        server.run("initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder}"
        server.run("pg_ctl", "-D", data, "-l", str(folder / "log"), "-w", "-o", options, "start")
        try:
            yield server
        finally:
            server.run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _known(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None
