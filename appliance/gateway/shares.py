"""Share links: a token that opens one session, with a role, until it expires or is revoked."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable

from appliance.bus.messages import Message, Role
from appliance.bus.state import Bucket
from appliance.errors import InvalidInputError, NotFoundError, RefusedError, UnauthorizedError
from appliance.gateway.tokens import Principal, derived, new_id, split

DEFAULT_SECONDS = 12 * 3600
LONGEST_SECONDS = 30 * 86400
PER_SESSION = 5
LINK = "link"
"""The type of what `fanlight share` makes; the API makes the others."""


class ShareRecord(Message):
    """A share as it is stored; times are unix times. `type` is the word of the Anbox dialect."""

    id: str
    session: str
    type: str
    role: Role
    created_at: int
    expires_at: int
    description: str = ""

    @property
    def minutes(self) -> int:
        """How long it holds in all."""
        return (self.expires_at - self.created_at) // 60


class Shares:
    """Creates, lists, changes, revokes and recognises shares.

    A token is made of the share's id and `key`, which all nodes have: it is stored nowhere, can be told
    again, and opens nothing once the share is removed.
    """

    def __init__(self, bucket: Bucket[ShareRecord], key: bytes) -> None:
        self._bucket = bucket
        self._key = key
        self._one_by_one = asyncio.Lock()

    async def create(
        self,
        session: str,
        *,
        role: Role,
        kind: str = LINK,
        expires_at: int | None = None,
        lasts_s: int = DEFAULT_SECONDS,
        description: str = "",
        limit: int | None = None,
    ) -> ShareRecord:
        """A new share. Raises RefusedError where the API made `limit` of them for `session`."""
        now = int(time.time())
        record = ShareRecord(
            id=new_id(),
            session=session,
            type=kind,
            role=role,
            created_at=now,
            expires_at=_checked(now + lasts_s if expires_at is None else expires_at),
            description=description,
        )
        async with self._one_by_one:
            await self._bucket.create(record.id, record)
            # Counted with it: of two nodes at once, the later one sees both.
            if limit is not None and await self._made_by_api(session) > limit:
                await self._bucket.delete(record.id)
                raise RefusedError(f"share limit exceeded: session {session} has {limit} shares")
        return record

    def token(self, record: ShareRecord) -> str:
        """What opens the share."""
        return f"{record.id}.{derived(self._key, record.id)}"

    async def list(self, session: str | None = None) -> list[ShareRecord]:
        """All shares that still hold, or those of one session, the oldest first."""
        now = time.time()
        found = [
            record
            async for _, record in self._bucket.items()
            if record.expires_at > now and session in (None, record.session)
        ]
        return sorted(found, key=lambda each: each.created_at)

    async def _made_by_api(self, session: str) -> int:
        return sum(each.type != LINK for each in await self.list(session))

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

    async def forget(self, sessions: Callable[[], Awaitable[set[str]]]) -> set[Principal]:
        """Drop what has expired or leads into none of `sessions`; returns whom that concerns."""
        records = [record async for _, record in self._bucket.items()]
        there, now = await sessions(), time.time()  # after the shares: none is older than its session
        over = [each for each in records if each.expires_at <= now or each.session not in there]
        gone = [each for each in over if await self._bucket.delete(each.id, only=each)]
        return {_principal(record) for record in gone}

    async def find(self, share: str) -> Principal:
        """The share if it still holds. Raises UnauthorizedError."""
        try:
            return _valid(await self._bucket.get(share))
        except NotFoundError:
            raise UnauthorizedError("the share link is not valid any more") from None

    async def authenticate(self, token: str, *, kind: str = LINK, session: str | None = None) -> Principal:
        """Raises UnauthorizedError for an unknown, revoked or expired token, or one of another kind."""
        share, secret = split(token)
        try:
            record = await self._bucket.get(share)
        except NotFoundError:
            raise UnauthorizedError("the share link is not known") from None
        fits = record.type == kind and session in (None, record.session)
        genuine = hmac.compare_digest(secret.encode(), derived(self._key, share).encode())
        if not (genuine and fits):
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
