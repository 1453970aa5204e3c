"""The block of header extensions (RFC 8285) that the packets of a stream have in common."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extensions:
    """What was agreed on, laid out; offsets are into `block`, which begins with the block's own header."""

    block: bytes = b""
    time_at: int | None = None
    """Where abs-send-time has its 3 bytes."""
    sequence_at: int | None = None
    """Where the transport-wide sequence number has its 2 bytes."""

    def stamped(self, ntp: int) -> tuple[bytes, bytes]:
        """What stands before and after the transport-wide sequence number; `ntp` is that of RFC 3550."""
        block = bytearray(self.block)
        if self.time_at is not None:
            block[self.time_at : self.time_at + 3] = (ntp >> 14 & 0xFFFFFF).to_bytes(3)
        if self.sequence_at is None:
            return bytes(block), b""
        return bytes(block[: self.sequence_at]), bytes(block[self.sequence_at + 2 :])
