"""PINs that pair one browser each: six digits, five minutes, five wrong tries."""

import contextlib
import hashlib
import hmac
import secrets
import time

from appliance.bus.messages import Message
from appliance.bus.state import Bucket
from appliance.errors import ConflictError, LimitExceededError, NotFoundError, UnauthorizedError

LIFETIME_SECONDS = 300
_TRIES = 5
_OUTSTANDING = 3
_KEY = "outstanding"


class PinRecord(Message):
    """One PIN; six digits hide behind a hash only because its key is not stored beside it."""

    mac: str
    expires_at: float
    tries_left: int = _TRIES


class PinBook(Message):
    """The PINs that are shown somewhere right now, oldest first."""

    pins: tuple[PinRecord, ...] = ()


class Pins:
    """A guess names no PIN, so a wrong one costs every outstanding PIN one try."""

    def __init__(self, bucket: Bucket[PinBook], key: bytes) -> None:
        self._bucket = bucket
        self._key = key

    async def new(self) -> tuple[str, int]:
        """A PIN and the unix time when it ends; the oldest goes where too many are outstanding."""
        pin = f"{secrets.randbelow(1_000_000):06}"
        record = PinRecord(mac=self._mac(pin), expires_at=time.time() + LIFETIME_SECONDS)
        try:
            await self._bucket.create(_KEY, PinBook(pins=(record,)))
        except ConflictError:
            await self._bucket.update(
                _KEY, lambda book: PinBook(pins=(*_alive(book), record)[-_OUTSTANDING:])
            )
        return pin, int(record.expires_at)

    async def use(self, pin: str) -> None:
        """Spend `pin`. Raises UnauthorizedError, or LimitExceededError once too many guesses were wrong."""
        mac = self._mac(pin)
        right = exhausted = False

        def spend(book: PinBook) -> PinBook:
            nonlocal right, exhausted
            pins = _alive(book)
            usable = [each for each in pins if each.tries_left > 0]
            matches = [each for each in usable if hmac.compare_digest(each.mac, mac)]
            right, exhausted = bool(matches), bool(pins) and not usable
            if right:
                return PinBook(pins=tuple(each for each in pins if each is not matches[0]))
            return PinBook(
                pins=tuple(
                    each.model_copy(update={"tries_left": max(0, each.tries_left - 1)}) for each in pins
                )
            )

        with contextlib.suppress(NotFoundError):
            await self._bucket.update(_KEY, spend)
        if exhausted:
            raise LimitExceededError("too many wrong PINs: show a new one with `fanlight pair`")
        if not right:
            raise UnauthorizedError("the PIN is wrong or has expired")

    def _mac(self, pin: str) -> str:
        return hmac.new(self._key, pin.encode(), hashlib.sha256).hexdigest()


def _alive(book: PinBook) -> list[PinRecord]:
    return [each for each in book.pins if each.expires_at > time.time()]
