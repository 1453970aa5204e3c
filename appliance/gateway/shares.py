"""Share links: a token that opens one session, with a role, until it expires or is revoked."""

import asyncio
import time

from appliance.bus.messages import Message, Role
from appliance.bus.state import Bucket
from appliance.errors import InvalidInputError, NotFoundError, RefusedError, UnauthorizedError
from appliance.gateway.tokens import Principal, digest, new_id, new_secret, proves, split

DEFAULT_SECONDS = 12 * 3600
LONGEST_SECONDS = 30 * 86400
PER_SESSION = 5


class ShareRecord(Message):
    """A share as it is stored; times are unix times. `type` is the word of the Anbox dialect."""

    id: str
    session: str
    type: str
    role: Role
    token_hash: str
    created_at: int
    expires_at: int
    description: str = ""


class Shares:
    """Creates, lists, changes, revokes and recognises shares."""

    def __init__(self, bucket: Bucket[ShareRecord]) -> None:
        self._bucket = bucket
        self._one_by_one = asyncio.Lock()

    async def create(
        self,
        session: str,
        *,
        role: Role,
        kind: str = "link",
        expires_at: int | None = None,
        description: str = "",
        limit: int | None = None,
    ) -> tuple[ShareRecord, str]:
        """A new share and its token. Raises RefusedError where `session` has `limit` of them."""
        now, secret = int(time.time()), new_secret()
        record = ShareRecord(
            id=new_id(),
            session=session,
            type=kind,
            role=role,
            token_hash=digest(secret),
            created_at=now,
            expires_at=_checked(now + DEFAULT_SECONDS if expires_at is None else expires_at),
            description=description,
        )
        async with self._one_by_one:
            if limit is not None and len(await self.list(session)) >= limit:
                raise RefusedError(f"share limit exceeded: session {session} has {limit} shares")
            await self._bucket.create(record.id, record)
        return record, f"{record.id}.{secret}"

    async def list(self, session: str | None = None) -> list[ShareRecord]:
        """All shares that still hold, or those of one session, the oldest first."""
        now = time.time()
        found = [
            record
            async for _, record in self._bucket.items()
            if record.expires_at > now and session in (None, record.session)
        ]
        return sorted(found, key=lambda each: each.created_at)

    async def get(self, share: str) -> ShareRecord:
        """Raises NotFoundError."""
        return await self._bucket.get(share)

    async def change(
        self, share: str, *, description: str | None = None, expires_at: int | None = None
    ) -> ShareRecord:
        """Write what is given over what was there. Raises NotFoundError, InvalidInputError."""
        given = {
            "description": description,
            "expires_at": None if expires_at is None else _checked(expires_at),
        }
        update = {key: value for key, value in given.items() if value is not None}
        return await self._bucket.update(share, lambda old: old.model_copy(update=update))

    async def remove(self, share: str) -> Principal:
        """Revoke a share; returns who it was. Raises NotFoundError."""
        principal = _principal(await self._bucket.get(share))
        await self._bucket.delete(share)
        return principal

    async def forget(self, sessions: set[str]) -> set[Principal]:
        """Drop what has expired or leads into none of `sessions`; returns whom that concerns."""
        now = time.time()
        gone = [
            record
            async for _, record in self._bucket.items()
            if record.expires_at <= now or record.session not in sessions
        ]
        for record in gone:
            await self._bucket.delete(record.id)
        return {_principal(record) for record in gone}

    async def find(self, share: str) -> Principal:
        """The share if it still holds. Raises UnauthorizedError."""
        try:
            return _valid(await self._bucket.get(share))
        except NotFoundError:
            raise UnauthorizedError("the share link is not valid any more") from None

    async def authenticate(self, token: str, *, kind: str = "link", session: str | None = None) -> Principal:
        """Raises UnauthorizedError for an unknown, revoked or expired token, or one of another kind."""
        share, secret = split(token)
        try:
            record = await self._bucket.get(share)
        except NotFoundError:
            raise UnauthorizedError("the share link is not known") from None
        fits = record.type == kind and session in (None, record.session)
        if not (proves(secret, record.token_hash) and fits):
            raise UnauthorizedError("the share link is not known")
        return _valid(record)


def _checked(expires_at: int) -> int:
    now = time.time()
    if not now < expires_at <= now + LONGEST_SECONDS + 1:
        raise InvalidInputError("expiry_at: must be within the next 30 days, in unix time")
    return expires_at


def _valid(record: ShareRecord) -> Principal:
    if record.expires_at <= time.time():
        raise UnauthorizedError("the share link has expired")
    return _principal(record)


def _principal(record: ShareRecord) -> Principal:
    return Principal("share", record.id, record.description or "guest", record.role, record.session)
