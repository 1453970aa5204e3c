"""API accounts of the Anbox dialect. Only the hash of a token is kept."""

import builtins
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from appliance.bus.messages import Message, Role
from appliance.bus.state import Bucket
from appliance.errors import NotFoundError, UnauthorizedError
from appliance.gateway import macaroon
from appliance.gateway.tokens import Principal, digest, proves

_NEVER = "9999-12-31T23:59:59+00:00"
"""Tokens of the dialect say when they end: who reads one finds a time there."""


class AccountRecord(Message):
    """An account as it is stored; times are unix times."""

    name: str
    token_hash: str
    created_at: int
    expires_at: int | None = None


class Accounts:
    """Creates, lists, deletes and recognises accounts."""

    def __init__(self, bucket: Bucket[AccountRecord]) -> None:
        self._bucket = bucket

    async def create(self, name: str, expires_s: int | None = None) -> str:
        """The token of a new account, shown this once. Raises ConflictError where `name` exists."""
        now = int(time.time())
        expires_at = None if expires_s is None else now + expires_s
        caveat = _NEVER if expires_at is None else datetime.fromtimestamp(expires_at, UTC).isoformat()
        token = macaroon.mint(secrets.token_bytes(32), name, (caveat,))
        record = AccountRecord(name=name, token_hash=digest(token), created_at=now, expires_at=expires_at)
        await self._bucket.create(name, record)
        return token

    async def list(self) -> list[AccountRecord]:
        """All accounts by name."""
        return sorted([record async for _, record in self._bucket.items()], key=lambda each: each.name)

    async def expired(self) -> builtins.list[Principal]:
        """Those whose time is over; they stay listed until they are deleted."""
        return [_principal(each) for each in await self.list() if _has_expired(each)]

    async def delete(self, name: str) -> Principal:
        """Forget an account; returns who it was. Raises NotFoundError."""
        principal = _principal(await self._bucket.get(name))
        await self._bucket.delete(name)
        return principal

    async def find(self, name: str) -> Principal:
        """The account `name` if it still holds. Raises UnauthorizedError."""
        try:
            record = await self._bucket.get(name)
        except NotFoundError:
            raise UnauthorizedError("the account does not exist any more") from None
        return _valid(record)

    async def authenticate(self, token: str) -> Principal:
        """Raises UnauthorizedError for a malformed, unknown, deleted or expired token."""
        try:
            record = await self._bucket.get(macaroon.parse(token).identifier)
        except NotFoundError:
            raise UnauthorizedError("the API token is not known") from None
        if not proves(token, record.token_hash):
            raise UnauthorizedError("the API token is not known")
        return _valid(record)


def token_of(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """The token in `Authorization: macaroon root=...` (any case) or `?api_token=`; empty without one."""
    scheme, _, rest = headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "macaroon":
        key, _, token = rest.strip().partition("=")
        return token.strip() if key.lower() == "root" else ""
    return query.get("api_token", "")


def bearer_of(headers: Mapping[str, str]) -> str:
    """The token in `Authorization: Bearer ...` (RFC 6750); empty without one."""
    scheme, _, token = headers.get("Authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _valid(record: AccountRecord) -> Principal:
    if _has_expired(record):
        raise UnauthorizedError("the API token has expired")
    return _principal(record)


def _has_expired(record: AccountRecord) -> bool:
    return record.expires_at is not None and record.expires_at <= time.time()


def _principal(record: AccountRecord) -> Principal:
    return Principal("account", record.name, record.name, Role.CONTROL)
