"""A receiver of FlexFEC, written from draft-ietf-payload-flexible-fec-scheme-03 section 4.2.2 and 6.3."""

from collections.abc import Iterable

_MASK_BITS = 15


def recover(received: dict[int, bytes], repairs: Iterable[bytes]) -> dict[int, bytes]:
    """All packets by sequence number: those received, and those that the repair payloads bring back."""
    known, waiting = dict(received), list(repairs)
    progress = True
    while progress:
        progress = False
        for repair in tuple(waiting):
            protected = sequences(repair)
            missing = [sequence for sequence in protected if sequence not in known]
            if len(missing) > 1:
                continue
            waiting.remove(repair)
            if missing:
                others = [known[sequence] for sequence in protected if sequence in known]
                known[missing[0]] = _recovered(repair, missing[0], others)
                progress = True
    return known


def sequences(repair: bytes) -> list[int]:
    """Those that it protects."""
    assert repair[0] >> 6 == 0, "retransmission or fixed mask"
    assert repair[8] == 1, "one source"
    base, mask = int.from_bytes(repair[16:18]), int.from_bytes(repair[18:20])
    assert mask >> _MASK_BITS, "the mask goes on"
    return [base + bit & 0xFFFF for bit in range(_MASK_BITS) if mask >> _MASK_BITS - 1 - bit & 1]


def _recovered(repair: bytes, sequence: int, others: list[bytes]) -> bytes:
    head, stamp, length = bytearray(repair[:2]), bytearray(repair[4:8]), int.from_bytes(repair[2:4])
    body = bytearray(repair[20:])
    for other in others:
        head = bytearray(a ^ b for a, b in zip(head, other[:2], strict=True))
        stamp = bytearray(a ^ b for a, b in zip(stamp, other[4:8], strict=True))
        length ^= len(other) - 12
        for at, value in enumerate(other[12:]):
            body[at] ^= value
    head[0] = head[0] & 0x3F | 0x80
    assert not any(body[length:])
    return bytes(head) + sequence.to_bytes(2) + bytes(stamp) + repair[12:16] + bytes(body[:length])
