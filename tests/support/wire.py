"""A viewer's link without keys: what is sent to it is kept in clear."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from appliance.errors import UnavailableError
from appliance.streamer.rtp.extensions import Extensions
from appliance.streamer.rtp.layout import Shape
from appliance.streamer.rtp.runs import Run

EXTENSIONS = Extensions(b"\xbe\xde\0\2\x22\0\0\0\x41\0\0\0", time_at=5, sequence_at=9)
SHAPE = Shape(payload_type=97, extension_bytes=12, tag_bytes=0)


@dataclass
class Wire:
    """A link without keys, and the path behind it: what is sent is kept in clear."""

    ssrc: int = 7
    rtx_ssrc: int = 8
    rtx_payload_type: int | None = 98
    fec_ssrc: int = 9
    fec_payload_type: int | None = 103
    shape: Shape = SHAPE
    extensions: Extensions = EXTENSIONS
    told: Extensions = EXTENSIONS
    rtt: float = 0
    gone: bool = False
    room: bool = True
    closed: bool = False
    packets: list[bytes] = field(default_factory=list)
    counted: list[tuple[int, int]] = field(default_factory=list)

    def path(self) -> "Wire":
        if self.gone:
            raise UnavailableError("ice: gone")
        return self

    def protect(self, data: bytes | bytearray, packets: Sequence[tuple[int, int]]) -> memoryview:
        return memoryview(bytearray(data))

    def sent(self, packets: int, octets: int, ntp: int, timestamp: int) -> None:
        self.counted.append((packets, octets))

    def send(self, data: memoryview, runs: Sequence[Run]) -> bool:
        for run in runs if self.room else ():
            view = data[run.start : run.end]
            self.packets += [bytes(view[at : at + run.size]) for at in range(0, len(view), run.size)]
        return self.room

    def send_one(self, data: memoryview) -> bool:
        self.packets.append(bytes(data))
        return True

    def close(self) -> None:
        self.closed = True


def header(packet: bytes) -> tuple[int, int, int, int, int]:
    """First byte, marker and payload type, sequence number, timestamp, SSRC."""
    return struct.unpack_from("!BBHLL", packet)


def transport_sequence(packet: bytes) -> int:
    """The transport-wide sequence number, the last extension; repair packets have no other."""
    at = 21 if packet[14:16] == EXTENSIONS.block[2:4] else 17
    return int.from_bytes(packet[at : at + 2])
