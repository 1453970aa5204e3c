"""What one channel and one of its sockets may use up: ours by default, AWS's to test clients against."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from appliance.config import KinesisSection
from appliance.gateway.limits import RateLimit
from appliance.signaling import kinesis
from appliance.signaling.kinesis import Action, Refused, Request

logger = logging.getLogger(__name__)

MESSAGES_PER_S = 200.0
GRACE_SECONDS = 60.0
"""Between GO_AWAY and the end."""
_BURST_SECONDS = 4
_ENVELOPE_BYTES = 256


@dataclass(frozen=True, slots=True)
class Quotas:
    """None is no limit."""

    viewers: int
    connects_per_s: float = 3.0
    connects_at_once: int = 30
    """After a restart of the gateway everybody comes back in the same second."""
    payload_characters: int = kinesis.PAYLOAD_CHARACTERS
    descriptions_per_s: float = MESSAGES_PER_S
    candidates_per_s: float = MESSAGES_PER_S
    bytes_per_s: float = 4 << 10
    """Of one side of a channel: a stream of the bus has the mail of all channels, and forgets the oldest."""
    bytes_at_once: float = 512 << 10
    spare_bytes_per_s: float = 128 << 10
    """Of all who need more than that."""
    spare_bytes_at_once: float = 8 << 20
    idle_s: float | None = None
    connected_s: float | None = None

    @classmethod
    def of(cls, section: KinesisSection) -> "Quotas":
        """Those that the settings ask for."""
        return AWS if section.strict_quotas else cls(viewers=section.viewers_per_channel)


AWS = Quotas(
    viewers=10,
    connects_at_once=3,
    payload_characters=kinesis.QUOTA_CHARACTERS,
    descriptions_per_s=5.0,
    candidates_per_s=20.0,
    idle_s=600.0,
    connected_s=3600.0,
)


class Room:
    """Whether the bus has bytes to spare for mail: each side of a channel has some of its own."""

    def __init__(self, quotas: Quotas) -> None:
        self._own = RateLimit(quotas.bytes_per_s, quotas.bytes_at_once)
        self._spare = RateLimit(quotas.spare_bytes_per_s, quotas.spare_bytes_at_once)

    def allows(self, channel: str, characters: int, *, master: bool) -> bool:
        """Count a payload; False, and nothing is counted, where it is too much."""
        size = characters + _ENVELOPE_BYTES
        side = f"{'master' if master else 'viewers'} {channel}"
        return self._own.allows(side, size) or self._spare.allows(cost=size)


class Intake:
    """Reads what one socket says, within its quotas; `who` is for the log.

    `room` counts the characters of a payload, and says whether the bus has room for it.
    """

    def __init__(self, quotas: Quotas, *, master: bool, who: str, room: Callable[[int], bool]) -> None:
        self._quotas = quotas
        self._master = master
        self._who = who
        self._room = room
        self._warned = False
        self._all = RateLimit(MESSAGES_PER_S, MESSAGES_PER_S * _BURST_SECONDS)
        self._descriptions = RateLimit(quotas.descriptions_per_s, quotas.descriptions_per_s)
        self._candidates = RateLimit(quotas.candidates_per_s, quotas.candidates_per_s)

    def floods(self) -> bool:
        """Count one message; whether it is one too many for any client."""
        return not self._all.allows()

    def read(self, text: str, *, records: bool = False) -> Request | Refused:
        """One text frame; `records` as in kinesis.parse."""
        said = kinesis.parse(
            text,
            master=self._master,
            records=records,
            payload_characters=self._quotas.payload_characters,
        )
        if isinstance(said, Refused):
            logger.info("%s: message refused: %s", self._who, said.description)
            return said
        self._warn(len(said.payload))
        rate = self._candidates if said.action is Action.CANDIDATE else self._descriptions
        if not rate.allows() or not self._room(len(said.payload)):
            return Refused("Rate exceeded", said.correlation_id, "ClientLimitExceededException")
        return said

    def _warn(self, characters: int) -> None:
        if characters > kinesis.QUOTA_CHARACTERS and not self._warned:
            self._warned = True
            logger.warning(
                "%s: a payload of %d characters: AWS takes %d",
                self._who,
                characters,
                kinesis.QUOTA_CHARACTERS,
            )
