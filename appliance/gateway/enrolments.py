"""Boxes that register here: one-time codes, and the keys with which they come to the bus."""

import asyncio
import base64
import logging
import re
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from appliance.bus.messages import Message
from appliance.bus.permits import BoxUser
from appliance.bus.server import EmbeddedServer
from appliance.bus.state import Bucket
from appliance.config import BusSection
from appliance.errors import ConflictError, FanlightError, NotFoundError, UnauthorizedError
from appliance.gateway.addresses import authority
from appliance.gateway.tokens import digest

logger = logging.getLogger(__name__)

CODE_SECONDS = 900
_KEEP_SECONDS = 86400
"""For so long an ended code is known as one that was used or is too old."""
_LOOK_SECONDS = 2.0
_RENEW = "make a new one with `fanlight enroll create`"


class CodeRecord(Message):
    """A code that enrols one box; stored under its hash. Times are unix times."""

    name: str = ""
    expires_at: float
    used: bool = False


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
        while True:
            try:
                await self._admit()
            except FanlightError as exc:
                logger.debug("boxes not looked over: %s", exc)
            await asyncio.sleep(_LOOK_SECONDS)

    async def create(self, name: str, fingerprint: str) -> tuple[str, int]:
        """A code for a box to be called `name` (empty: what it calls itself), and the unix time when it ends.

        It carries `fingerprint`, that of our certificate, so that the box knows whom it talks to.
        """
        self.door.url("localhost")
        await self._sweep()
        if name and any(each.name == name for each in await self.list()):
            raise ConflictError(f"a box {name!r} is enrolled already")
        secret = secrets.token_urlsafe(16)
        record = CodeRecord(name=name, expires_at=time.time() + CODE_SECONDS)
        await self._codes.create(digest(secret), record)
        pin = base64.urlsafe_b64encode(bytes.fromhex(fingerprint.replace(":", ""))).decode().rstrip("=")
        return f"{secret}.{pin}", int(record.expires_at)

    async def enrol(self, secret: str, box: str, name: str, key: str) -> BoxRecord:
        """Spend a code. Raises UnauthorizedError for a bad one, ConflictError for a box that is there."""
        known = digest(secret)
        try:
            code = await self._codes.get(known)
        except NotFoundError:
            raise UnauthorizedError("the code is not known here: check the address and the code") from None
        _check(code)
        record = BoxRecord(id=box, name=code.name or name, key=key, enrolled_at=int(time.time()))
        for each in await self.list():
            if box == each.id or record.name == each.name:
                mend = f"on the gateway: fanlight enroll delete {each.name}"
                raise ConflictError(f"box {each.name!r} is enrolled already; {mend}")
        await self._codes.update(known, _spent)
        await self._boxes.create(box, record)
        await self._admit()
        logger.info("box %s (%s) is enrolled", record.name, record.id)
        return record

    async def list(self) -> list[BoxRecord]:
        """All boxes by name."""
        return sorted([record async for _, record in self._boxes.items()], key=lambda each: each.name)

    async def delete(self, name: str) -> None:
        """Revoke a box, by name or id; the bus cuts it off. Raises NotFoundError."""
        for each in await self.list():
            if name in (each.name, each.id):
                await self._boxes.delete(each.id)
                await self._admit()
                logger.info("box %s (%s) is not enrolled any more", each.name, each.id)
                return
        raise NotFoundError(f"no box {name!r} is enrolled")

    async def _admit(self) -> None:
        async with self._admitting:  # an older list must not come after a newer one
            await self.door.admit([BoxUser(each.id, each.key) for each in await self.list()])

    async def _sweep(self) -> None:
        old = time.time() - _KEEP_SECONDS
        for key in [key async for key, code in self._codes.items() if code.expires_at < old]:
            await self._codes.delete(key)


def _check(code: CodeRecord) -> None:
    if code.used:
        raise UnauthorizedError(f"the code was used already: {_RENEW}")
    if code.expires_at <= time.time():
        raise UnauthorizedError(f"the code has expired: {_RENEW}")


def _spent(code: CodeRecord) -> CodeRecord:
    """Checked again here: of two boxes with one code, one is first."""
    _check(code)
    return code.model_copy(update={"used": True})
