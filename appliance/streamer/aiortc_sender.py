"""The adapter's other half: what the fan-out needs of aiortc's senders and of pylibsrtp's library.

Each private has a test that fails when it moves.
"""

import socket
from array import array
from collections.abc import Sequence
from itertools import repeat
from typing import Any

from aiortc import RTCRtpSender, RTCRtpTransceiver
from aiortc.rtp import HeaderExtensions, RtpPacket
from pylibsrtp._binding import ffi, lib

from appliance.errors import UnavailableError
from appliance.streamer import aiortc_fec, aiortc_reports
from appliance.streamer.rtp.extensions import Extensions
from appliance.streamer.rtp.layout import Shape
from appliance.streamer.rtp.sockets import Path, TransportPath, UdpPath

_TAG_BYTES = {
    b"SRTP_AEAD_AES_256_GCM": 16,
    b"SRTP_AEAD_AES_128_GCM": 16,
    b"SRTP_AES128_CM_SHA1_80": 10,
}
_SLACK_BYTES = 256
_COMPONENT = 1


class SrtpMemory:
    """Memory of pylibsrtp's library, shared by all streams of a process."""

    def __init__(self, size: int = 1 << 18) -> None:
        self._known: Sequence[tuple[int, int]] = ()
        """The packets that were protected last, and what follows from them."""
        self._starts: list[Any] = []
        self._lengths = b""
        self._allocate(size)
        self._allocate_lengths(64)

    def protect(
        self, session: Any, data: bytes | bytearray, packets: Sequence[tuple[int, int]]
    ) -> memoryview:
        """A copy of `data` with the packets in it under SRTP, see Link.protect."""
        size = len(data)
        if size > self._size:
            self._allocate(2 * size)
        if packets is not self._known:
            self._know(packets)
        view = self._view[:size]
        view[:] = data
        self._lengths_view[: len(self._lengths)] = self._lengths
        statuses = map(lib.srtp_protect, repeat(session._srtp[0]), self._starts, self._length_of)
        if status := next(filter(None, statuses), 0):
            raise UnavailableError(f"srtp: refused with status {status}")
        return view

    def _know(self, packets: Sequence[tuple[int, int]]) -> None:
        """Those of a frame, which are the same for all viewers."""
        if len(packets) > len(self._length_of):
            self._allocate_lengths(2 * len(packets))
        self._known = packets
        self._starts = [self._start + offset for offset, _ in packets]
        self._lengths = array("i", [length for _, length in packets]).tobytes()

    def _allocate(self, size: int) -> None:
        self._size = size
        self._start = ffi.new("unsigned char[]", size + _SLACK_BYTES)
        self._view = memoryview(ffi.buffer(self._start, size + _SLACK_BYTES))
        self._known = ()

    def _allocate_lengths(self, count: int) -> None:
        """Where libsrtp is told the length of each packet, and tells that of the protected one."""
        self._told = ffi.new("int[]", count)
        self._length_of = [self._told + number for number in range(count)]
        self._lengths_view = memoryview(ffi.buffer(self._told))


class SenderLink:
    """A connected sender of aiortc: it keeps the numbers, the keys and the reports, we send."""

    def __init__(self, transceiver: RTCRtpTransceiver, memory: SrtpMemory) -> None:
        sender: Any = transceiver.sender
        dtls: Any = sender.transport
        self.ssrc: int = sender._ssrc
        self.rtx_ssrc: int = sender._rtx_ssrc
        self.rtx_payload_type: int | None = sender._RTCRtpSender__rtx_payload_type
        self.fec_ssrc = aiortc_fec.ssrc(sender)
        self.fec_payload_type = aiortc_fec.payload_type(transceiver)
        self.extensions = _extensions(sender)
        self.told = _told(sender, self.extensions)
        self.red_payload_type = next(
            (codec.payloadType for codec in transceiver._codecs if codec.name.lower() == "red"), None
        )
        self.shape = Shape(
            transceiver._codecs[0].payloadType or 0,
            len(self.extensions.block),
            _TAG_BYTES[dtls._ssl.get_selected_srtp_profile()],
        )
        # Chromium names whatever stream it heard last when it tells of arrivals.
        for ssrc in (self.rtx_ssrc, self.fec_ssrc):
            dtls._rtp_router.register_sender(sender, ssrc=ssrc)
        self._sender = sender
        self._reports = aiortc_reports.reports_of(sender)
        self._session = dtls._tx_srtp
        self._memory = memory
        self._nominated: dict[int, Any] = dtls.transport._connection._nominated
        self._pair: Any = None
        self._path: Path | None = None

    @property
    def rtt(self) -> float:
        """Round trip in seconds; 0 while it is not known."""
        return self._reports.rtt_s or 0.0

    @property
    def loss(self) -> float:
        """Share of packets that the last report of the viewer misses; 0 before the first."""
        return self._reports.loss or 0.0

    def path(self) -> Path:
        """The way of the pair that ICE nominated last. Raises UnavailableError."""
        pair = self._nominated.get(_COMPONENT)
        if pair is not self._pair or self._path is None:
            self.close()
            if pair is None:
                raise UnavailableError("ice: there is no way to the viewer any more")
            try:
                self._pair, self._path = pair, _path_of(pair)
            except OSError as exc:
                raise UnavailableError(f"ice: its socket is closed: {exc}") from exc
        return self._path

    def protect(self, data: bytes | bytearray, packets: Sequence[tuple[int, int]]) -> memoryview:
        """See Link.protect."""
        return self._memory.protect(self._session, data, packets)

    def sent(self, packets: int, octets: int, ntp: int, timestamp: int) -> None:
        """Keep aiortc's sender reports and statistics right."""
        sender = self._sender
        sender._RTCRtpSender__packet_count += packets
        sender._RTCRtpSender__octet_count += octets
        sender._RTCRtpSender__ntp_timestamp = ntp
        sender._RTCRtpSender__rtp_timestamp = timestamp

    def close(self) -> None:
        """Let go of the socket; the connection itself is aiortc's to close."""
        if self._path:
            self._path.close()
        self._pair = self._path = None


def link(transceiver: RTCRtpTransceiver, memory: SrtpMemory) -> SenderLink | None:
    """The way around aiortc's own packets for a connected sender; None where it is connected no more."""
    connection: Any = transceiver.sender.transport.transport._connection
    return SenderLink(transceiver, memory) if _COMPONENT in connection._nominated else None


def sent(sender: RTCRtpSender) -> tuple[int, int]:
    """Packets and bytes of payload since the beginning."""
    private: Any = sender
    return private._RTCRtpSender__packet_count, private._RTCRtpSender__octet_count


async def repeat_last(sender: RTCRtpSender) -> None:
    """Send the newest packet of aiortc's own once more."""
    private: Any = sender
    history: dict[int, RtpPacket] = private._RTCRtpSender__rtp_history
    sent = {packet.sequence_number for packet in history.values()}
    for newest in (number for number in sent if (number + 1) & 0xFFFF not in sent):
        await private._retransmit(newest)


def _path_of(pair: Any) -> Path:
    found = _socket_of(pair)
    if found is None or pair.local_candidate.type == "relay":
        return TransportPath(pair.protocol.transport, pair.remote_addr)
    return UdpPath(found.fileno(), pair.remote_addr)


def _socket_of(pair: Any) -> Any:
    """The plain UDP socket that the pair sends through, or None."""
    found = pair.protocol.transport.get_extra_info("socket")
    return found if found is not None and found.type == socket.SOCK_DGRAM else None


def _extensions(sender: Any) -> Extensions:
    """What aiortc would write, and where in it the values are that change."""
    extensions = sender._RTCRtpSender__rtp_header_extensions_map
    mid = sender._RTCRtpSender__mid

    def written(time: int, number: int) -> bytes:
        values = HeaderExtensions(mid=mid, abs_send_time=time, transport_sequence_number=number)
        profile, elements = extensions.set(values)
        return profile.to_bytes(2) + (len(elements) // 4).to_bytes(2) + elements if elements else b""

    block = written(0, 0)
    return Extensions(
        block, _first_difference(block, written(0xFFFFFF, 0)), _first_difference(block, written(0, 0xFFFF))
    )


def _told(sender: Any, plain: Extensions) -> Extensions:
    """The same with the capture time, where that was agreed on."""
    identifier = getattr(sender._RTCRtpSender__rtp_header_extensions_map, "capture_time", None)
    one_byte = plain.block[:2] in (b"", b"\xbe\xde")
    return plain.with_capture_time(identifier) if identifier and one_byte else plain


def _first_difference(one: bytes, other: bytes) -> int | None:
    return next((at for at, pair in enumerate(zip(one, other, strict=True)) if len(set(pair)) > 1), None)
