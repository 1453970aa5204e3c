"""Redundant sound, RFC 2198: a packet repeats those before it, so that a lost one is heard all the same."""

from collections.abc import Sequence
from typing import Protocol

LEVELS = 2
"""Packets that one packet repeats at most."""
_FOLLOWED = 0x80
_OFFSETS = 1 << 14
_LENGTHS = 1 << 10


class SoundPacket(Protocol):
    """One Opus packet; the timestamp counts AUDIO_CLOCK."""

    @property
    def data(self) -> bytes:
        """The packet."""

    @property
    def timestamp(self) -> int:
        """Unwrapped, strictly increasing."""


def redundant(packet: SoundPacket, earlier: Sequence[SoundPacket], payload_type: int) -> bytes:
    """`packet` behind those of `earlier`, oldest first, that the format can name; all of `payload_type`."""
    named = [
        each for each in earlier if packet.timestamp - each.timestamp < _OFFSETS and len(each.data) < _LENGTHS
    ]
    headers = [
        bytes([_FOLLOWED | payload_type])
        + ((packet.timestamp - each.timestamp) << 10 | len(each.data)).to_bytes(3)
        for each in named
    ]
    return b"".join((*headers, bytes([payload_type]), *(each.data for each in named), packet.data))
