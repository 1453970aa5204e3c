"""When each packet reached the viewer (draft-holmer-rmcat-transport-wide-cc-extensions-01)."""

import itertools
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from appliance.errors import InvalidInputError

MAX_STATUSES = 4096
"""More than any sane message has, and twice what is remembered; bounds the work that a hostile one makes."""
_HEAD = struct.Struct("!HHIH")  # and the first chunk
_CHUNK = struct.Struct("!H")
_LARGE_DELTA = struct.Struct("!h")
_VECTOR, _TWO_BITS, _RUN_LENGTH = 0x8000, 0x4000, 0x1FFF
_MISSING, _SMALL, _LARGE, _RESERVED = range(4)
_REFERENCE_US, _DELTA_US = 64_000, 250


class Feedback(NamedTuple):
    """Consecutive packets; `arrivals[i]` belongs to transport sequence number `first + i`, modulo 2^16."""

    number: int
    """Counts the messages, 8 bits."""
    first: int
    arrivals: Sequence[int | None]
    """Microseconds of the viewer's clock, None for a packet that has not arrived."""


def parse(fci: bytes) -> Feedback:
    """The FCI of an RTPFB packet of format 15. Raises InvalidInputError."""
    if len(fci) < _HEAD.size:
        raise InvalidInputError(f"transport feedback of {len(fci)} bytes")
    first, count, clock, chunk = _HEAD.unpack_from(fci)
    if not 0 < count <= MAX_STATUSES:
        raise InvalidInputError(f"transport feedback about {count} packets")
    since = ((clock >> 8 ^ 0x800000) - 0x800000) * _REFERENCE_US
    deltas: Iterable[int] | None = None
    if chunk & _RUN_LENGTH >= count:  # nearly always: all have arrived, in order
        deltas = _alike(fci, count, chunk >> 13)
    if deltas is None:
        arrivals = _each(fci, count, since)
    else:
        arrivals = [since + _DELTA_US * ticks for ticks in itertools.accumulate(deltas)]
    return Feedback(clock & 0xFF, first, arrivals)


def _alike(fci: bytes, count: int, symbol: int) -> Sequence[int] | None:
    """The deltas of so many packets that one chunk tells of; None where not all arrived or some lack."""
    start = _HEAD.size
    if symbol == _SMALL and start + count <= len(fci):
        return fci[start : start + count]
    if symbol == _LARGE and start + 2 * count <= len(fci):
        return struct.unpack_from(f"!{count}h", fci, start)
    return None


def _each(fci: bytes, count: int, since: int) -> Sequence[int | None]:
    symbols, position = _symbols(fci, count)
    deltas = symbols.count(_SMALL) + 2 * symbols.count(_LARGE)
    if _RESERVED in symbols or position + deltas > len(fci):
        raise InvalidInputError(f"transport feedback with statuses that its {len(fci)} bytes do not bear out")
    return _arrivals(fci, symbols, position, since)


def _symbols(fci: bytes, count: int) -> tuple[bytearray, int]:
    """One byte a packet, and where the deltas begin."""
    symbols = bytearray()
    position = _HEAD.size - _CHUNK.size
    while len(symbols) < count:
        if position + _CHUNK.size > len(fci):
            raise InvalidInputError(f"transport feedback ends after {len(symbols)} of {count} statuses")
        (chunk,) = _CHUNK.unpack_from(fci, position)
        position += _CHUNK.size
        if not chunk & _VECTOR:
            run = min(chunk & _RUN_LENGTH, count - len(symbols))
            symbols += bytes((chunk >> 13,)) * run
        elif chunk & _TWO_BITS:
            symbols += bytes([chunk >> shift & 3 for shift in range(12, -2, -2)])
        else:
            symbols += bytes([chunk >> shift & 1 for shift in range(13, -1, -1)])
    del symbols[count:]
    return symbols, position


def _arrivals(fci: bytes, symbols: bytearray, position: int, now: int) -> Sequence[int | None]:
    arrivals: list[int | None] = [None] * len(symbols)
    # Of those that arrived alone: a few bytes tell of thousands that are missing.
    for at in itertools.compress(range(len(symbols)), symbols):
        if symbols[at] == _SMALL:
            now += fci[position] * _DELTA_US
            position += 1
        else:
            now += _LARGE_DELTA.unpack_from(fci, position)[0] * _DELTA_US
            position += 2
        arrivals[at] = now
    return arrivals
