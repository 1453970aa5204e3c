"""What a viewer's packets may cost the streamer: privates of aiortc's DTLS transport, each with a test.

Media and RTCP are taken in where they arrive: aiortc's own way costs turns of the loop for each packet.
Media of viewers is dropped undecrypted where nothing takes it. Of media and RTCP each viewer has a budget,
and so many sources: libsrtp keeps a state for each, for as long as the connection lasts.
"""

import functools
import logging
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import pylibsrtp
from aiortc import RTCPeerConnection
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtcsctptransport import DataChunk, tsn_plus_one
from aiortc.rtp import RtcpPacket, RtcpSrPacket, RtpPacket, is_rtcp

from appliance.streamer import aiortc_reports
from appliance.streamer.aiortc_reports import RECEIVER_REPORT, SENDER_REPORT
from appliance.streamer.budget import Budget

logger = logging.getLogger(__name__)

TRANSPORT_FEEDBACK = "_transport_feedback"
"""The attribute of a sender that takes the bodies of transport-wide feedback about it."""

_RTCP_BYTES = 1 << 15
"""Of a second: more than a browser has to say at 50 Mb/s."""
_MEDIA_BYTES = 1 << 19
"""The same, for a microphone and a camera."""
_SOURCES_MAX = 16
_CHUNKS_MAX = 1024  # of 1200 bytes, what the window has room for
_STREAMS_MAX = 256
_MALFORMED = (struct.error, LookupError, ValueError)
"""What aiortc raises where it cannot read a packet."""
_TRANSPORT_FEEDBACK, _PADDING = 0x8FCD, 0x2000
"""The first two bytes of RTCP with that, and the bit in them that says nothing of what it is."""
_VERSION, _DESCRIPTION, _HEADER_BYTES, _COUNT = 2, 202, 4, 0x1F
_SOURCE_END = 12  # of the packet's sender and of the stream that it is about, RFC 4585 section 6.1


class BoundedSession:
    """An inbound SRTP session that refuses what no honest viewer sends, by raising pylibsrtp.Error."""

    def __init__(
        self, session: pylibsrtp.Session, *, takes_media: bool = False, media_bytes: int = _MEDIA_BYTES
    ) -> None:
        self._session = session
        self._sources: set[bytes] = set()
        self._budget = Budget(_RTCP_BYTES, 1 / _RTCP_BYTES)
        self._media_bytes = media_bytes
        self._media = Budget(media_bytes, 1 / media_bytes) if takes_media else None

    def unprotect(self, packet: bytes) -> bytes:
        """Media of a known source, within the budget, where somebody takes it."""
        if self._media is None:
            raise pylibsrtp.Error(f"media is not taken: {len(packet)} bytes")
        source = self._source(packet[8:12])
        if not self._media.spend(len(packet)):
            raise pylibsrtp.Error(f"more than {self._media_bytes} bytes of media a second")
        found: bytes = self._session.unprotect(packet)
        self._sources.add(source)
        return found

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """Feedback of a known source, within the budget."""
        source = self._source(packet[4:8])
        if not self._budget.spend(len(packet)):
            raise pylibsrtp.Error(f"more than {_RTCP_BYTES} bytes of feedback a second")
        found: bytes = self._session.unprotect_rtcp(packet)
        self._sources.add(source)
        return found

    def _source(self, source: bytes) -> bytes:
        if source not in self._sources and len(self._sources) >= _SOURCES_MAX:
            raise pylibsrtp.Error(f"more than {_SOURCES_MAX} sources")
        return source


class _Inlet:
    """What comes to one transport under SRTP, from the moment that it has keys."""

    def __init__(
        self,
        dtls: Any,
        media: Callable[[RtpPacket], None] | None,
        report: Callable[[RtcpSrPacket], None] | None,
        media_bytes: int,
    ) -> None:
        self._dtls = dtls
        self._media = media
        self._report = report
        self._media_bytes = media_bytes
        self._setup = dtls._setup_srtp
        self._session: BoundedSession | None = None

    def open(self) -> None:
        """Nothing gets past it from now on."""
        vars(self._dtls)["_setup_srtp"] = self._set_up
        self._dtls.transport._connection.on_srtp = self._take

    def _set_up(self) -> None:
        self._setup()
        if self._dtls._rx_srtp is not None:
            self._session = BoundedSession(
                self._dtls._rx_srtp, takes_media=self._media is not None, media_bytes=self._media_bytes
            )

    def _take(self, data: bytes) -> None:
        """One packet, as it came."""
        if self._session is None or self._dtls.state != "connected":
            return
        try:
            if is_rtcp(data):
                self._hear(self._session.unprotect_rtcp(data))
            elif self._media:
                clear = self._session.unprotect(data)
                self._media(RtpPacket.parse(clear, self._dtls._rtp_header_extensions_map))
        except pylibsrtp.Error as exc:
            logger.debug("not taken: %s", exc)
        except _MALFORMED as exc:
            logger.debug("malformed RTP or RTCP: %r", exc)
        except ConnectionError as exc:
            logger.debug("no way to answer: %s", exc)

    def _hear(self, rtcp: bytes) -> None:
        """Of a compound all transport-wide feedback and all reports, then the rest."""
        senders, rest = self._dtls._rtp_router.senders, b""
        while rtcp:
            end = 4 * (int.from_bytes(rtcp[2:4]) + 1)
            packet, rtcp = rtcp[:end], rtcp[end:]
            kind = int.from_bytes(packet[:2]) & ~_PADDING
            if len(packet) != end or kind >> 14 != _VERSION:
                rest += packet
            elif kind == _TRANSPORT_FEEDBACK:
                sender = senders.get(int.from_bytes(packet[8:_SOURCE_END]))
                if take := vars(sender).get(TRANSPORT_FEEDBACK) if sender else None:
                    take(packet[_SOURCE_END:])
            elif packet[1] in (SENDER_REPORT, RECEIVER_REPORT):
                aiortc_reports.hear(packet, senders)
                if self._report and packet[1] == SENDER_REPORT:
                    self._report(RtcpSrPacket.parse(packet[_HEADER_BYTES:], packet[0] & _COUNT))
            elif packet[1] != _DESCRIPTION:
                rest += packet
        for each in RtcpPacket.parse(rest):
            for recipient in self._dtls._rtp_router.route_rtcp(each):
                _at_once(recipient._handle_rtcp_packet(each))


def _at_once(handling: Coroutine[Any, Any, None]) -> None:
    """Nothing that aiortc does with RTCP waits for anything."""
    try:
        handling.send(None)
    except StopIteration:
        return
    handling.close()
    raise NotImplementedError("aiortc waits while it handles RTCP")


def guard(
    connection: RTCPeerConnection,
    media: Callable[[RtpPacket], None] | None = None,
    report: Callable[[RtcpSrPacket], None] | None = None,
    *,
    media_bytes: int = _MEDIA_BYTES,
) -> None:
    """To be called after the negotiation, before DTLS is through. `media` gets it all instead of aiortc.

    `report` gets the sender reports, too; `media_bytes` of a second are taken at most.
    """
    transports = {each.receiver.transport for each in connection.getTransceivers()}
    for receiver in connection.getReceivers():
        vars(receiver)["receive"] = functools.partial(_receive, receiver.transport)
    if connection.sctp:
        transports.add(connection.sctp.transport)
        _guard_channels(connection.sctp)
    for transport in transports:
        _Inlet(transport, media, report, media_bytes).open()


async def _receive(dtls: Any, parameters: RTCRtpReceiveParameters) -> None:
    """Only know the header extensions: aiortc would start a thread and a task, which get nothing to do."""
    dtls._rtp_header_extensions_map.configure(parameters)


def _guard_channels(sctp: Any) -> None:
    """aiortc looks through all that lies there with every chunk, and minds no window of its own.

    What is beyond is as if it were lost: who keeps to the window that it was told never gets there.
    """
    receive = sctp._receive_data_chunk

    async def received(chunk: DataChunk) -> None:
        lying, streams = sctp._sack_misordered, sctp._inbound_streams
        stream = streams.get(chunk.stream_id)
        beyond = (
            len(lying) >= _CHUNKS_MAX and chunk.tsn != tsn_plus_one(sctp._last_received_tsn),
            stream is None and len(streams) >= _STREAMS_MAX,
            stream is not None and len(stream.reassembly) >= _CHUNKS_MAX,
            sctp._advertised_rwnd < len(chunk.user_data),
        )
        if not any(beyond):
            await receive(chunk)

    vars(sctp)["_receive_data_chunk"] = received
