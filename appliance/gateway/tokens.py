"""Ids, secrets and their hashes. A token of ours is `<id>.<secret>`: found by id, proved by hash."""

import base64
import hashlib
import hmac
import secrets
import struct
import time
from dataclasses import dataclass
from typing import Literal

from appliance.bus.messages import Role

_ID_BYTES = 12


def new_id() -> str:
    """20 characters of base32hex that sort by time, like an xid."""
    raw = struct.pack(">I", int(time.time()) & 0xFFFFFFFF) + secrets.token_bytes(8)
    return base64.b32hexencode(raw).decode().lower().rstrip("=")


def made_at(identity: str) -> int | None:
    """The unix time in an id of `new_id`; None for any other."""
    try:
        raw = base64.b32hexdecode(identity.upper() + "====")
    except ValueError:
        return None
    return int(struct.unpack_from(">I", raw)[0]) if len(raw) == _ID_BYTES else None


def new_secret() -> str:
    """256 bits as text that fits into a URL."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is stored instead of a secret; fast is fine, as ours are random and long."""
    return hashlib.sha256(secret.encode()).hexdigest()


def proves(secret: str, stored: str) -> bool:
    """Whether `secret` is the one behind `stored`, in constant time."""
    return hmac.compare_digest(digest(secret), stored)


def derived(key: bytes, identity: str) -> str:
    """The secret of `identity` that who has `key` can tell again; fits into a URL."""
    mac = hmac.digest(key, identity.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def split(token: str) -> tuple[str, str]:
    """Id and secret of a token; both empty where it is none."""
    identity, dot, secret = token.partition(".")
    return (identity, secret) if dot and secret and token.isascii() else ("", "")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls. `session` is set for a guest, who may see that session only."""

    kind: Literal["account", "device", "share", "box", "key"]
    id: str
    label: str
    role: Role
    session: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.label}"

    @property
    def tag(self) -> str:
        """Starts the peer id of every viewer of this principal, so that revoking it finds them all."""
        raw = hashlib.sha256(f"{self.kind}:{self.id}".encode()).digest()[:10]
        return self.kind[0] + base64.b32hexencode(raw).decode().lower()

    def new_peer(self) -> str:
        """A peer id nobody can guess; one word of a bus subject."""
        return f"{self.tag}-{secrets.token_hex(12)}"
