"""API tokens of the Anbox dialect: base64url of a binary macaroon v2 (libmacaroons, `v2.txt`)."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

from appliance.errors import UnauthorizedError

LOCATION = "anbox-stream-gateway"
_VERSION = 2
_END, _LOCATION, _IDENTIFIER, _SIGNATURE = 0, 1, 2, 6
_KEY_GENERATOR = b"macaroons-key-generator"


@dataclass(frozen=True, slots=True)
class Macaroon:
    """What a token says: a name and first-party caveats, signed by whoever held the root key."""

    identifier: str
    caveats: tuple[str, ...]
    signature: bytes


def mint(root_key: bytes, identifier: str, caveats: tuple[str, ...] = ()) -> str:
    """A token for `identifier`, base64url without padding."""
    body = (
        bytes((_VERSION,)) + _field(_LOCATION, LOCATION.encode()) + _field(_IDENTIFIER, identifier.encode())
    )
    body += bytes((_END,))
    for caveat in caveats:
        body += _field(_IDENTIFIER, caveat.encode()) + bytes((_END,))
    body += bytes((_END,)) + _field(_SIGNATURE, sign(root_key, identifier, caveats))
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def sign(root_key: bytes, identifier: str, caveats: tuple[str, ...]) -> bytes:
    """The chain of HMACs over identifier and caveats."""
    key = hmac.digest(_KEY_GENERATOR, root_key, hashlib.sha256)
    signature = hmac.digest(key, identifier.encode(), hashlib.sha256)
    for caveat in caveats:
        signature = hmac.digest(signature, caveat.encode(), hashlib.sha256)
    return signature


def parse(token: str) -> Macaroon:
    """Read a token without judging it. Raises UnauthorizedError where it is none."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        fields = _fields(raw)
        texts = [value.decode() for kind, value in fields if kind == _IDENTIFIER]
        return Macaroon(texts[0], tuple(texts[1:]), signature=fields[-1][1])
    except (ValueError, IndexError, binascii.Error):
        raise UnauthorizedError("the API token is malformed") from None


def _fields(raw: bytes) -> list[tuple[int, bytes]]:
    if raw[0] != _VERSION:
        raise ValueError("not a macaroon v2")
    fields, offset = [], 1
    while offset < len(raw):
        kind, value, offset = _read(raw, offset)
        fields.append((kind, value))
    if fields[-1][0] != _SIGNATURE or len(fields[-1][1]) != hashlib.sha256().digest_size:
        raise ValueError("no signature")
    return fields


def _field(kind: int, value: bytes) -> bytes:
    return bytes((kind,)) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def _read(raw: bytes, offset: int) -> tuple[int, bytes, int]:
    kind = raw[offset]
    if kind == _END:
        return kind, b"", offset + 1
    length, shift, offset = 0, 0, offset + 1
    while True:
        byte = raw[offset]
        length |= (byte & 0x7F) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 0x80:
            break
    if offset + length > len(raw):
        raise ValueError("cut off")
    return kind, raw[offset : offset + length], offset + length
