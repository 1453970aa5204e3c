"""Paired browsers. Only the hash of a device's token is kept."""

import contextlib
import time

from appliance.bus.messages import Message, Role
from appliance.bus.state import Bucket
from appliance.errors import ConflictError, NotFoundError, UnauthorizedError, UnavailableError
from appliance.gateway.tokens import Principal, digest, new_id, new_secret, proves, split

_NAME_LENGTH = 64
_SEEN_SECONDS = 300
"""How stale `last_seen` may be: not every request is worth a write."""


class DeviceRecord(Message):
    """A paired browser as it is stored; times are unix times."""

    id: str
    name: str
    role: Role
    token_hash: str
    paired_at: int
    last_seen: int | None = None


class Devices:
    """Pairs, lists, revokes and recognises browsers."""

    def __init__(self, bucket: Bucket[DeviceRecord]) -> None:
        self._bucket = bucket

    async def add(self, name: str, role: Role = Role.CONTROL) -> tuple[Principal, str]:
        """A new device and its token, to be kept by the browser alone."""
        now, secret = int(time.time()), new_secret()
        name = "".join(each for each in name if each.isprintable()).strip()[:_NAME_LENGTH] or "browser"
        record = DeviceRecord(
            id=new_id(), name=name, role=role, token_hash=digest(secret), paired_at=now, last_seen=now
        )
        await self._bucket.create(record.id, record)
        return _principal(record), f"{record.id}.{secret}"

    async def list(self) -> list[DeviceRecord]:
        """All devices, the oldest first."""
        return sorted([record async for _, record in self._bucket.items()], key=lambda each: each.paired_at)

    async def remove(self, device: str) -> Principal:
        """Revoke a device; returns who it was. Raises NotFoundError."""
        principal = _principal(await self._bucket.get(device))
        await self._bucket.delete(device)
        return principal

    async def find(self, device: str) -> Principal:
        """The device if it is still paired. Raises UnauthorizedError."""
        try:
            return _principal(await self._bucket.get(device))
        except NotFoundError:
            raise UnauthorizedError("this browser is not paired any more") from None

    async def authenticate(self, token: str) -> Principal:
        """Raises UnauthorizedError for an unknown or revoked token."""
        device, secret = split(token)
        try:
            record = await self._bucket.get(device)
        except NotFoundError:
            raise UnauthorizedError("this browser is not paired") from None
        if not proves(secret, record.token_hash):
            raise UnauthorizedError("this browser is not paired")
        now = int(time.time())
        if now - (record.last_seen or 0) > _SEEN_SECONDS:
            # A full disk, or two requests at once, keep nobody out.
            with contextlib.suppress(UnavailableError, ConflictError):
                await self._bucket.update(device, lambda old: old.model_copy(update={"last_seen": now}))
        return _principal(record)


def _principal(record: DeviceRecord) -> Principal:
    return Principal("device", record.id, record.name, record.role)
