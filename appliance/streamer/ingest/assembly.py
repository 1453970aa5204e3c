"""From packets in their order to whole pictures."""

from dataclasses import dataclass

from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import VpxPayloadDescriptor
from aiortc.rtp import RtpPacket

from appliance.streamer.frames import Codec
from appliance.streamer.ingest.pictures import Picture, Reader

_FRAME_PARTS_MAX = 16_384
_FRAME_BYTES_MAX = 8 << 20


@dataclass(frozen=True, slots=True)
class Arrived:
    """A picture; `timestamp` is that of its packets, `first_ns` when the first of them was there."""

    picture: Picture
    timestamp: int
    first_ns: int


class Assembler:
    """Yields nothing but pictures that can be decoded: after a gap that is a keyframe and what follows it."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._reader = Reader(codec)
        self.waits = True
        """For a keyframe."""
        self._parts: list[bytes] = []
        self._bytes = 0
        self._timestamp = 0
        self._first_ns = 0
        self._broken = False

    def put(self, packet: RtpPacket | None, now_ns: int) -> list[Arrived]:
        """The next packet, or None for a gap; `now_ns` is time.monotonic_ns()."""
        if packet is None:
            self._lose()
            return []
        if not packet.payload:  # padding
            return []
        found = []
        if self._parts and packet.timestamp != self._timestamp:
            found = self._end()  # senders that never set the marker
        if not self._parts:
            self._timestamp, self._first_ns = packet.timestamp, now_ns
        self._take(packet.payload)
        if packet.marker:
            found += self._end()
        return found

    def _take(self, payload: bytes) -> None:
        try:
            part = self._depayload(payload)
        except ValueError:
            part, self._broken = b"", True
        self._bytes += len(part)
        self._broken |= self._bytes > _FRAME_BYTES_MAX or len(self._parts) >= _FRAME_PARTS_MAX
        if not self._broken:
            self._parts.append(part)
        elif not self._parts:
            self._parts.append(b"")  # a frame has begun all the same

    def _depayload(self, payload: bytes) -> bytes:
        if self._codec is Codec.H264:
            return bytes(h264_depayload(payload))
        descriptor, part = VpxPayloadDescriptor.parse(payload)
        begins = descriptor.partition_start == 1 and descriptor.partition_id == 0
        if not self._parts and not begins:
            raise ValueError("not the beginning of a frame")
        return bytes(part)

    def _end(self) -> list[Arrived]:
        data, broken = b"".join(self._parts), self._broken
        self._parts, self._bytes, self._broken = [], 0, False
        try:
            picture = None if broken else self._reader.read(data)
        except ValueError:
            picture, broken = None, True
        self.waits |= broken
        if picture is None or (self.waits and not picture.keyframe):
            return []
        self.waits = False
        return [Arrived(picture, self._timestamp, self._first_ns)]

    def _lose(self) -> None:
        """Whatever was lost: what follows may need it, and the rest of a frame is no frame."""
        self.waits = True
        self._parts, self._bytes, self._broken = [], 0, False
