"""Boxes that register here: one-time codes, and the keys with which they come to the bus."""

import asyncio
import base64
import contextlib
import logging
import re
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from appliance.bus.beat import BEAT_SECONDS, until_beat
from appliance.bus.messages import Message
from appliance.bus.permits import BoxUser
from appliance.bus.server import EmbeddedServer
from appliance.bus.state import Bucket
from appliance.config import BusSection
from appliance.errors import (
    ConflictError,
    FanlightError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
)
from appliance.gateway.addresses import authority
from appliance.gateway.tokens import digest

logger = logging.getLogger(__name__)

CODE_SECONDS = 900
_KEEP_SECONDS = 86400
"""For so long an ended code is known as one that was used or is too old."""
_LOOK_SECONDS = BEAT_SECONDS
_RENEW = "make a new one with `fanlight enroll create`"


class CodeRecord(Message):
    """A code that enrols one box; stored under its hash. Times are unix times."""

    name: str = ""
    expires_at: float
    box: str = ""
    """Who has used it."""
    key: str = ""
    """With what key; empty again where that box was revoked."""

    def used_by(self, box: str, key: str) -> bool:
        """Whether it is the same box that comes again."""
        return (self.box, self.key) == (box, key)


class BoxRecord(Message):
    """An enrolled box; `key` is the public half of what it proves to the bus."""

    id: str
    name: str
    key: str
    enrolled_at: int


class BusDoor:
    """The way of boxes to the bus: a server of our own that listens for them, or somebody's cluster."""

    def __init__(self, section: BusSection, server: EmbeddedServer | None) -> None:
        self._section = section
        self._server = server if section.listen else None

    @property
    def ours(self) -> bool:
        """Whether it is we who let boxes in."""
        return self._server is not None

    async def admit(self, boxes: Sequence[BoxUser]) -> None:
        """Let in exactly `boxes`; on somebody's cluster that is theirs to do (`enroll list --nats`)."""
        if self._server:
            await self._server.admit(boxes)

    def url(self, host: str) -> str:
        """For a box that reached this gateway as `host`. Raises ConflictError where no box can come."""
        if self._server:
            scheme = "tls" if self._server.secure else "nats"
            return f"{scheme}://{authority(host)}:{self._server.port}"
        if self._section.mode == "external":
            return re.sub(r"//[^/@,]*@", "//", self._section.url)
        raise ConflictError("no box reaches the bus of this gateway: set bus.listen, or use an external bus")

    async def ca(self, own: str | None) -> str:
        """PEM of what vouches for the bus; empty: a CA that every system trusts. `own`: our own CA."""
        if self._server:
            return own or ""
        return await asyncio.to_thread(Path(self._section.ca).read_text) if self._section.ca else ""


class Enrolments:
    """Makes and spends codes, and keeps the boxes that came with them."""

    def __init__(self, codes: Bucket[CodeRecord], boxes: Bucket[BoxRecord], door: BusDoor) -> None:
        self._codes = codes
        self._boxes = boxes
        self.door = door
        self._admitting = asyncio.Lock()

    async def follow(self) -> None:
        """Hand what any gateway node enrolled or revoked on to the bus, until cancelled."""
        while self.door.ours:
            try:
                await self._admit()
            except FanlightError as exc:
                logger.debug("boxes not looked over: %s", exc)
            await asyncio.sleep(until_beat(_LOOK_SECONDS))

    async def create(self, name: str, fingerprint: str) -> tuple[str, int]:
        """A code for a box to be called `name` (empty: what it calls itself), and the unix time when it ends.

        It carries `fingerprint`, that of our certificate, so that the box knows whom it talks to.
        """
        self.door.url("localhost")
        await self._sweep()
        if name and any(each.name == name for each in await self.list()):
            raise ConflictError(f"a box {name!r} is enrolled already")
        secret = secrets.token_hex(16)  # never begins with `-`, as an option does
        record = CodeRecord(name=name, expires_at=time.time() + CODE_SECONDS)
        await self._codes.create(digest(secret), record)
        pin = base64.urlsafe_b64encode(bytes.fromhex(fingerprint.replace(":", ""))).decode().rstrip("=")
        return f"{secret}.{pin}", int(record.expires_at)

    async def enrol(self, secret: str, box: str, name: str, key: str) -> BoxRecord:
        """Spend a code; a box that has not heard the answer comes again with its key, and hears it then.

        Raises UnauthorizedError for a bad code, ConflictError for a box that is there, UnavailableError.
        """
        known, boxes = digest(secret), await self.list()
        try:
            code = await self._codes.get(known)
        except NotFoundError:
            raise UnauthorizedError("the code is not known here: check the address and the code") from None
        _check(code, box, key)
        record = next((each for each in boxes if code.used_by(each.id, each.key)), None)
        if record is None:
            record = BoxRecord(id=box, name=code.name or name, key=key, enrolled_at=int(time.time()))
            await self._add(record, known, boxes)
        await self._admit()
        logger.info("box %s (%s) is enrolled", record.name, record.id)
        return record

    async def _add(self, record: BoxRecord, code: str, boxes: Sequence[BoxRecord]) -> None:
        for each in boxes:
            if record.id == each.id or record.name == each.name:
                mend = f"on the gateway: fanlight enroll delete {each.name}"
                raise ConflictError(f"box {each.name!r} is enrolled already; {mend}")
        await self._codes.update(code, lambda old: _used(old, record.id, record.key))
        try:
            await self._boxes.create(record.id, record)
        except ConflictError:
            raise UnavailableError(f"box {record.name!r} is being enrolled: try again") from None

    async def list(self) -> list[BoxRecord]:
        """All boxes by name."""
        return sorted([record async for _, record in self._boxes.items()], key=lambda each: each.name)

    async def delete(self, name: str) -> None:
        """Revoke a box, by name or id; the bus cuts it off. Raises NotFoundError."""
        for each in await self.list():
            if name in (each.name, each.id):
                await self._withdraw(each)
                await self._boxes.delete(each.id)
                await self._admit()
                logger.info("box %s (%s) is not enrolled any more", each.name, each.id)
                return
        raise NotFoundError(f"no box {name!r} is enrolled")

    async def _withdraw(self, box: BoxRecord) -> None:
        """Its code brings it back no more."""
        for known in [known async for known, code in self._codes.items() if code.used_by(box.id, box.key)]:
            with contextlib.suppress(NotFoundError):
                await self._codes.update(known, lambda code: code.model_copy(update={"key": ""}))

    async def _admit(self) -> None:
        async with self._admitting:  # an older list must not come after a newer one
            await self.door.admit([BoxUser(each.id, each.key) for each in await self.list()])

    async def _sweep(self) -> None:
        old = time.time() - _KEEP_SECONDS
        for key in [key async for key, code in self._codes.items() if code.expires_at < old]:
            await self._codes.delete(key)


def _check(code: CodeRecord, box: str, key: str) -> None:
    if code.used_by(box, key):
        return
    if code.box:
        raise UnauthorizedError(f"the code was used already: {_RENEW}")
    if code.expires_at <= time.time():
        raise UnauthorizedError(f"the code has expired: {_RENEW}")


def _used(code: CodeRecord, box: str, key: str) -> CodeRecord:
    """Checked again here: of two boxes with one code, one is first."""
    _check(code, box, key)
    return code.model_copy(update={"box": box, "key": key})
