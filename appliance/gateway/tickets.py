"""Tickets: what a WebSocket URL carries, signed so that any gateway node can verify it."""

import base64
import binascii
import contextlib
import hashlib
import hmac
import secrets
import time
from typing import Literal

from pydantic import ValidationError

from appliance.bus.messages import Message, Role, ScreenWish
from appliance.bus.state import Bucket
from appliance.errors import ConflictError, NotFoundError, UnauthorizedError

LIFETIME_SECONDS = 300


class KeyRecord(Message):
    """A secret that all gateway nodes share, as hex."""

    secret: str


async def shared_key(bucket: Bucket[KeyRecord], name: str) -> bytes:
    """The key `name` of this cluster, made at first use."""
    with contextlib.suppress(NotFoundError):
        return bytes.fromhex((await bucket.get(name)).secret)
    with contextlib.suppress(ConflictError):
        await bucket.create(name, KeyRecord(secret=secrets.token_hex(32)))
    return bytes.fromhex((await bucket.get(name)).secret)


class Ticket(Message):
    """The right to open one kind of socket of one session, for a few minutes."""

    session: str
    socket: Literal["slave", "adb"] = "slave"
    owner_kind: Literal["account", "device", "share", "box", "key"]
    owner: str
    label: str
    role: Role
    exclusive: bool = False
    page: bool = False
    """Our own page: it knows the `fanlight::` messages."""
    screen: ScreenWish | None = None
    expires_at: int = 0


class Tickets:
    """Issues and reads tickets: `<payload>.<HMAC-SHA256>`, both base64url."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, ticket: Ticket) -> str:
        """A token that holds for LIFETIME_SECONDS."""
        dated = ticket.model_copy(update={"expires_at": int(time.time()) + LIFETIME_SECONDS})
        payload = dated.model_dump_json(exclude_defaults=True).encode()
        return f"{_encode(payload)}.{_encode(self._mac(payload))}"

    def read(self, token: str) -> Ticket:
        """Raises UnauthorizedError where it is not ours or has expired."""
        payload, _, mac = token.partition(".")
        try:
            raw = _decode(payload)
            genuine = hmac.compare_digest(self._mac(raw), _decode(mac))
            ticket = Ticket.model_validate_json(raw) if genuine else None
        except (ValueError, binascii.Error, ValidationError):
            ticket = None
        if ticket is None:
            raise UnauthorizedError("the token of this URL is not valid")
        if ticket.expires_at <= time.time():
            raise UnauthorizedError("the token of this URL has expired: join again")
        return ticket

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, hashlib.sha256)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
