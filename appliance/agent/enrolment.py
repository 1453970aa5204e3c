"""What this box was given when it was enrolled at a gateway elsewhere, and how it gets it."""

import asyncio
import base64
import re
from pathlib import Path

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from appliance.bus.connection import BusAddress
from appliance.bus.nkey import UserKey
from appliance.bus.subjects import inbox
from appliance.config import GatewaySection
from appliance.errors import (
    ConfigError,
    InvalidInputError,
    RefusedError,
    UnauthorizedError,
    UnavailableError,
)
from appliance.storage import give_to_owner, write_atomic

_CODE = re.compile(r"([\w-]+)\.([\w-]{43})?", re.ASCII)
"""A secret, and the certificate's SHA-256 in base64url."""
_ASKED = "asked.json"
_SECONDS = 30


class Enrolment(BaseModel):
    """The gateway's page, our name there, the bus, and the secret key that it knows us by."""

    model_config = ConfigDict(frozen=True)

    gateway: str
    name: str
    bus: str
    seed: str = Field(repr=False)

    def address(self, state_dir: Path, box: str) -> BusAddress:
        """Of the bus, as box `box`."""
        ca = _directory(state_dir) / "ca.pem"
        return BusAddress(self.bus, seed=self.seed, ca=str(ca) if ca.is_file() else "", inbox=inbox(box))


class _Asked(BaseModel):
    """A code, and the secret key that goes along with it."""

    code: str = Field(repr=False)
    seed: str = Field(repr=False)


class _Granted(BaseModel):
    name: str
    bus: str
    ca: str


def load(state_dir: Path, section: GatewaySection) -> Enrolment | None:
    """What is kept under `state_dir`; None where it is yet to be had, with what `section` says.

    Raises ConfigError where this box is enrolled nowhere, and `section` does not say how.
    """
    file = _directory(state_dir) / "enrolment.json"
    try:
        return Enrolment.model_validate_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if section.url and section.token:
            return None
        raise ConfigError(
            'gateway.mode = "remote", and this box is enrolled nowhere: fanlight enroll URL CODE, '
            "or set gateway.url and gateway.token"
        ) from None
    except (OSError, ValidationError) as exc:
        raise ConfigError(f"{file}: not readable, enrol again: fanlight enroll URL CODE: {exc}") from exc


async def enroll(state_dir: Path, url: str, code: str, *, box: str, name: str) -> Enrolment:
    """Bring `code` to the gateway at `url` and keep what it answers.

    Who was not answered may ask again: the same code comes with the same key.
    Raises InvalidInputError for what is no code, RefusedError where the certificate at `url` is not the one
    that the code names, UnauthorizedError for a wrong, used or expired code, UnavailableError for silence and
    for a gateway that cannot now.
    """
    secret, pin = _parts(code)
    if url.startswith("http://") == bool(pin):
        raise InvalidInputError("url: must be the one that came with the code")
    key = await asyncio.to_thread(_key_for, state_dir, secret)
    wish = {"code": secret, "id": box, "name": name, "key": key.public}
    granted = await _ask(url.rstrip("/"), wish, aiohttp.Fingerprint(pin) if pin else True)
    enrolment = Enrolment(gateway=url.rstrip("/") + "/", name=granted.name, bus=granted.bus, seed=key.seed)
    await asyncio.to_thread(_keep, state_dir, enrolment, granted.ca)
    return enrolment


def _key_for(state_dir: Path, secret: str) -> UserKey:
    """The one that went along with this code before, else a fresh one, which is kept before it is told."""
    file = _directory(state_dir) / _ASKED
    try:
        asked = _Asked.model_validate_json(file.read_text(encoding="utf-8"))
        if asked.code == secret:
            return UserKey.parse(asked.seed)
    except (FileNotFoundError, ValueError):
        pass
    key = UserKey.new()
    write_atomic(file, _Asked(code=secret, seed=key.seed).model_dump_json())
    give_to_owner(state_dir, file.parent, file)
    return key


def _keep(state_dir: Path, enrolment: Enrolment, ca: str) -> None:
    directory = _directory(state_dir)
    authority, kept = directory / "ca.pem", directory / "enrolment.json"
    if ca:
        write_atomic(authority, ca)
        give_to_owner(state_dir, authority)
    else:
        authority.unlink(missing_ok=True)
    write_atomic(kept, enrolment.model_dump_json())
    give_to_owner(state_dir, kept)
    (directory / _ASKED).unlink(missing_ok=True)


async def _ask(base: str, wish: dict[str, str], trust: aiohttp.Fingerprint | bool) -> _Granted:
    try:
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as client,
            client.post(f"{base}/fanlight/enroll", json=wish, ssl=trust, allow_redirects=False) as answer,
        ):
            text = await answer.text()
            if answer.status == 200:
                return _Granted.model_validate_json(text)
            said = (await answer.json())["error"]
    except aiohttp.ServerFingerprintMismatch as exc:
        raise RefusedError(f"{base} is not the gateway that made this code: another certificate") from exc
    except (aiohttp.ClientError, OSError, ValueError, KeyError, TypeError) as exc:
        raise UnavailableError(f"{base}: no gateway answers there: {exc or type(exc).__name__}") from exc
    if answer.status == 429 or answer.status >= 500:
        raise UnavailableError(f"{base}: {said}")
    if answer.status == 401:
        raise UnauthorizedError(said)
    raise RefusedError(said)


def _parts(code: str) -> tuple[str, bytes]:
    """The secret, and the SHA-256 of the gateway's certificate: empty where it has none."""
    if not (found := _CODE.fullmatch(code.strip())):
        raise InvalidInputError("code: not a whole one, as `fanlight enroll create` prints it")
    secret, encoded = found.groups("")
    return secret, base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))


def _directory(state_dir: Path) -> Path:
    return state_dir / "remote"
