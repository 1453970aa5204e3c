"""The block of header extensions (RFC 8285) that the packets of a stream have in common."""

from dataclasses import dataclass, replace

CAPTURE_TIME_BYTES = 20
"""What abs-capture-time takes in a block of extensions, padded."""
_ONE_BYTE = b"\xbe\xde"


@dataclass(frozen=True, slots=True)
class Extensions:
    """What was agreed on, laid out; offsets are into `block`, which begins with the block's own header."""

    block: bytes = b""
    time_at: int | None = None
    """Where abs-send-time has its 3 bytes."""
    sequence_at: int | None = None
    """Where the transport-wide sequence number has its 2 bytes."""

    captured_at: int | None = None
    """Where abs-capture-time has its 8 bytes."""

    def with_capture_time(self, identifier: int) -> "Extensions":
        """The same and abs-capture-time, in its long form: the clock is our own, so its offset is zero."""
        element = bytes((identifier << 4 | 15,)) + bytes(CAPTURE_TIME_BYTES - 1)
        block = bytearray(self.block or _ONE_BYTE + b"\0\0") + element
        block[2:4] = (len(block) // 4 - 1).to_bytes(2)
        return replace(self, block=bytes(block), captured_at=len(block) - CAPTURE_TIME_BYTES + 1)

    def number_alone(self) -> "Extensions":
        """The transport-wide sequence number without the rest; all the same where there is none to be had."""
        if self.sequence_at is None or self.block[:2] != _ONE_BYTE:
            return self
        element = self.block[self.sequence_at - 1 : self.sequence_at + 2]
        return Extensions(_ONE_BYTE + b"\0\1" + element + b"\0", sequence_at=5)

    def stamped(self, ntp: int, captured: int = 0) -> bytes:
        """The block of a packet that leaves at that time, without its number; times are NTP's of 64 bits."""
        block = bytearray(self.block)
        if self.captured_at is not None:
            block[self.captured_at : self.captured_at + 8] = captured.to_bytes(8)
        if self.time_at is not None:
            block[self.time_at : self.time_at + 3] = (ntp >> 14 & 0xFFFFFF).to_bytes(3)
        return bytes(block)
