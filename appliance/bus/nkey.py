"""NATS keys: an Ed25519 pair whose public half the server knows (nats-architecture-and-design, ADR-14)."""

import base64
import binascii
import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import ConfigError, InvalidInputError

_SEED, _USER = 18 << 3, 20 << 3
_KEY_BYTES = 32
_SECRET = re.compile(r"\n|-+BEGIN |SU[A-Z2-7]{56}")
_CREDENTIALS = re.compile(r"-+BEGIN [A-Z ]+-+\s+(\S+)\s+-+END [A-Z ]+-+")


class UserKey:
    """The key pair of one user of the bus. `seed` is the secret half, as text that starts with `SU`."""

    def __init__(self, raw: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self.seed = _encode(bytes((_SEED | _USER >> 5, (_USER & 31) << 3)) + raw)
        self.public = _encode(bytes((_USER,)) + self._key.public_key().public_bytes_raw())

    @classmethod
    def new(cls) -> "UserKey":
        """A fresh pair."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, seed: str) -> "UserKey":
        """Raises InvalidInputError for what is no seed of a user."""
        raw = _decode(seed)
        if len(raw) != 2 + _KEY_BYTES or not seed.startswith("SU"):
            raise InvalidInputError("not the seed of a NATS user")
        return cls(raw[2:])

    def sign(self, nonce: str) -> bytes:
        """The answer to the challenge of a server, as base64."""
        return base64.b64encode(self._key.sign(nonce.encode()))


def is_public(text: str) -> bool:
    """Whether `text` is the public key of a user."""
    try:
        raw = _decode(text)
    except InvalidInputError:
        return False
    return len(raw) == 1 + _KEY_BYTES and raw[0] == _USER


def read_credentials(file: str) -> tuple[bytearray, UserKey]:
    """JWT and key of a NATS credentials file. Raises ConfigError, which tells no secret."""
    if _SECRET.search(file):
        raise ConfigError("bus.credentials: must be the path of a NATS credentials file, not what is in it")
    try:
        found = _CREDENTIALS.findall(Path(file).read_text(encoding="utf-8"))
        jwt, seed = found
        return bytearray(jwt.encode()), UserKey.parse(seed)
    except (OSError, ValueError, InvalidInputError) as exc:
        raise ConfigError(f"bus.credentials: {file}: not a NATS credentials file: {exc}") from exc


def _encode(raw: bytes) -> str:
    return base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode().rstrip("=")


def _decode(text: str) -> bytes:
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) < 3 or binascii.crc_hqx(raw[:-2], 0).to_bytes(2, "little") != raw[-2:]:
        raise InvalidInputError("not a NATS key")
    return raw[:-2]
