"""What a viewer says about the arrival of each packet (draft-holmer-rmcat-transport-wide-cc-extensions-01)."""

from collections.abc import Sequence
from typing import NamedTuple


class Feedback(NamedTuple):
    """Consecutive packets; `arrivals[i]` belongs to transport sequence number `first + i`, modulo 2^16."""

    number: int
    """Counts the messages, 8 bits."""
    first: int
    arrivals: Sequence[int | None]
    """Microseconds of the viewer's clock, None for a packet that has not arrived."""


def parse(fci: bytes) -> Feedback:
    """The FCI of an RTPFB packet of format 15. Raises InvalidInputError."""
    raise NotImplementedError
