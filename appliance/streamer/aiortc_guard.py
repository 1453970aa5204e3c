"""What a viewer's packets may cost the streamer: privates of aiortc's DTLS transport, each with a test.

Media of viewers is dropped undecrypted where nothing takes it. Of media and RTCP each viewer has a budget,
and so many sources: libsrtp keeps a state for each, for as long as the connection lasts.
"""

import functools
import logging
import struct
from collections.abc import Callable
from typing import Any

import pylibsrtp
from aiortc import RTCPeerConnection
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtcsctptransport import DataChunk, tsn_plus_one
from aiortc.rtp import RtpPacket

from appliance.streamer.budget import Budget

logger = logging.getLogger(__name__)

_RTCP_BYTES = 1 << 15
"""Of a second: more than a browser has to say at 50 Mb/s."""
_MEDIA_BYTES = 1 << 19
"""The same, for a microphone and a camera."""
_SOURCES_MAX = 16
_CHUNKS_MAX = 1024  # of 1200 bytes, what the window has room for
_STREAMS_MAX = 256
MALFORMED = (struct.error, LookupError, ValueError)
"""What aiortc raises where it cannot read a packet."""


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


def guard(
    connection: RTCPeerConnection,
    media: Callable[[RtpPacket], None] | None = None,
    *,
    media_bytes: int = _MEDIA_BYTES,
) -> None:
    """To be called after the negotiation, before DTLS is through. `media` gets it all instead of aiortc.

    `media_bytes` of a second are taken at most.
    """
    transports = {each.receiver.transport for each in connection.getTransceivers()}
    for receiver in connection.getReceivers():
        vars(receiver)["receive"] = functools.partial(_receive, receiver.transport)
    if connection.sctp:
        transports.add(connection.sctp.transport)
        _guard_channels(connection.sctp)
    for transport in transports:
        _guard(transport, media, media_bytes)


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


def _guard(dtls: Any, media: Callable[[RtpPacket], None] | None, media_bytes: int) -> None:
    setup, handle = dtls._setup_srtp, dtls._handle_rtcp_data

    def bounded() -> None:
        setup()
        if dtls._rx_srtp is not None:
            dtls._rx_srtp = BoundedSession(
                dtls._rx_srtp, takes_media=media is not None, media_bytes=media_bytes
            )

    async def checked(data: bytes) -> None:
        """aiortc expects nothing but ValueError, and would end the connection."""
        try:
            await handle(data)
        except MALFORMED as exc:
            logger.debug("malformed RTCP: %r", exc)

    async def taken(data: bytes, arrival_time_ms: int) -> None:  # noqa: ARG001
        """aiortc would decode it, in a thread for each track."""
        try:
            packet = RtpPacket.parse(data, dtls._rtp_header_extensions_map)
        except MALFORMED as exc:
            logger.debug("malformed RTP: %r", exc)
            return
        if media:
            media(packet)

    vars(dtls)["_handle_rtp_data"] = taken
    vars(dtls)["_setup_srtp"], vars(dtls)["_handle_rtcp_data"] = bounded, checked
