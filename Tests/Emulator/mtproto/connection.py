"""One TCP connection to a data centre: frames in, handshakes or encrypted messages, frames out."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys
import traceback
from typing import TYPE_CHECKING

from .envelope import open_packet
from .errors import SilentDrop, Violation
from .handshake import DataCentre, Handshake
from .modes import TRANSPORT_HOSTILITIES
from .obfuscation import Opening, open_connection
from .service import Receiver
from .session import Session

if TYPE_CHECKING:
    from .core import Core

HANDSHAKE_HEADER = 20


class Connection:
    def __init__(self, core: Core, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._core = core
        self._reader, self._writer = reader, writer
        self._opening: Opening | None = None
        self._centre: DataCentre | None = None
        self._sessions: set[Session] = set()
        self._received_bytes = 0
        self._disconnect: asyncio.TimerHandle | None = None
        self.transport_name = ""

    @property
    def is_closing(self) -> bool:
        return self._writer.is_closing()

    def serves(self, account: int | None, dc: int | None) -> bool:
        """Whether it is one of this account and data centre, where they are given."""
        accounts = {session.account.id for session in self._sessions if session.account is not None}
        return (account is None or account in accounts) and (
            dc is None or (self._centre is not None and self._centre.id == dc)
        )

    async def serve(self, centre: DataCentre | None, secret: bytes | None = None) -> None:
        """- Parameter centre: None at a proxy, where the client names the one it wants."""
        try:
            self._opening = await open_connection(self._reader, secret)
            self._centre = centre or self._named_centre(self._opening)
            self.transport_name = type(self._opening.framing).name + ("-obfuscated" if self._opening.cipher else "")
            await self._receive(self._centre)
        except Violation as error:
            number = self._centre.id if self._centre else 0
            self._core.journal.violation(number, str(error))
            self._send_transport_error(error.transport_code)
        except (asyncio.IncompleteReadError, ConnectionError, SilentDrop):
            pass
        except Exception:  # a defect of the emulator ends this connection only
            traceback.print_exc(file=sys.stderr)
        finally:
            self._ended()

    def _named_centre(self, opening: Opening) -> DataCentre:
        number = abs(opening.dc or 0) % 10000
        if number not in self._core.centres:
            raise Violation(f"the proxy was asked for DC {opening.dc}, which does not exist", 444)
        return self._core.centres[number]

    async def _receive(self, centre: DataCentre) -> None:
        opening = self._opening
        assert opening is not None
        handshake = Handshake(centre, self._core.keys, self._core.clock, self._core.modes)
        while True:
            packet, wants_ack = await opening.framing.receive(opening.source)
            self._received_bytes += len(packet)
            limit = self._core.modes.habits.drop_every_bytes
            if limit and self._received_bytes > limit:
                raise SilentDrop
            if len(packet) < HANDSHAKE_HEADER + 4:
                raise Violation(f"a packet of {len(packet)} bytes")
            identity = struct.unpack_from("<q", packet)[0]
            if identity == 0:
                self._write_frame(self._in_the_clear(handshake, packet))
            else:
                self._encrypted(centre, identity, packet, wants_ack)
            await self._writer.drain()

    def _in_the_clear(self, handshake: Handshake, packet: bytes) -> bytes:
        msg_id, length = struct.unpack_from("<qi", packet, 8)
        if length != len(packet) - HANDSHAKE_HEADER:
            raise Violation(f"a message in the clear of {length} bytes in a packet of {len(packet)}")
        if msg_id & 3:
            raise Violation("a message in the clear with a msg_id that is no multiple of 4")
        answer = handshake.answer(packet[HANDSHAKE_HEADER:])
        return struct.pack("<qqi", 0, self._core.clock.msg_id(1), len(answer)) + answer

    def _encrypted(self, centre: DataCentre, identity: int, packet: bytes, wants_ack: bool) -> None:
        key = self._core.keys.find(identity, centre.id)
        if key is None:
            raise Violation("an unknown authorization key")
        received = open_packet(key, packet)
        if wants_ack and self._opening is not None:
            self._write(self._opening.framing.quick_ack(received.quick_ack))
        session = Receiver(self._core, key, centre.id, self).receive(received)
        if session is not None:
            self._sessions.add(session)

    def send_packet(self, packet: bytes) -> None:
        if self.is_closing:
            return
        kind = self._core.modes.is_hostile(*TRANSPORT_HOSTILITIES)
        if kind is None:
            self._write_frame(packet)
        elif kind.startswith("transport_"):
            self._send_transport_error(int(kind.removeprefix("transport_")))
        elif kind == "garbage":
            self._write_frame(bytes(reversed(packet)) + bytes(-len(packet) % 4))
        elif kind == "half_frame":
            assert self._opening is not None
            self._write(self._opening.framing.frame(packet)[: len(packet) // 2])
            self.close("half a frame")
        else:
            self._write(b"\xff" * 8 + packet[:32])

    def _write_frame(self, packet: bytes) -> None:
        assert self._opening is not None
        self._write(self._opening.framing.frame(packet))

    def _write(self, data: bytes) -> None:
        if self.is_closing:
            return
        if self._opening is not None and self._opening.cipher is not None:
            data = self._opening.cipher.update(data)
        self._writer.write(data)

    def _send_transport_error(self, code: int) -> None:
        if self._opening is not None:
            self._write_frame(struct.pack("<i", -code))
        self.close(f"transport error {code}")

    def close(self, reason: str) -> None:
        self._writer.close()

    def abort(self) -> None:
        """Close the connection and drop the buffered bytes."""
        self._writer.transport.abort()

    def disconnect_in(self, seconds: float | None) -> None:
        """Close after the delay of ping_delay_disconnect unless it is renewed; None cancels it."""
        if self._disconnect is not None:
            self._disconnect.cancel()
            self._disconnect = None
        if seconds is not None:
            self._disconnect = asyncio.get_running_loop().call_later(seconds, self.close, "ping_delay_disconnect")

    def _ended(self) -> None:
        self.disconnect_in(None)
        for session in self._sessions:
            session.detach(self)
        with contextlib.suppress(Exception):
            self._writer.close()
