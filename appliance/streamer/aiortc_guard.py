"""What a viewer's packets may cost the streamer: privates of aiortc's DTLS transport, each with a test.

Media of viewers is dropped undecrypted: nothing takes it yet. Of RTCP each viewer has a budget, and so many
sources: libsrtp keeps a state for each, for as long as the connection lasts.
"""

import logging
import struct
from typing import Any

import pylibsrtp
from aiortc import RTCPeerConnection

from appliance.streamer.budget import Budget

logger = logging.getLogger(__name__)

_RTCP_BYTES = 1 << 15
"""Of a second: more than a browser has to say at 50 Mb/s."""
_SOURCES_MAX = 16
_MALFORMED = (struct.error, LookupError, ValueError)


class BoundedSession:
    """An inbound SRTP session that refuses what no honest viewer sends, by raising pylibsrtp.Error."""

    def __init__(self, session: pylibsrtp.Session) -> None:
        self._session = session
        self._sources: set[bytes] = set()
        self._budget = Budget(_RTCP_BYTES, 1 / _RTCP_BYTES)

    def unprotect(self, packet: bytes) -> bytes:
        """Media, which nothing takes."""
        raise pylibsrtp.Error(f"media is not taken: {len(packet)} bytes")

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """Feedback of a known source, within the budget."""
        source = packet[4:8]
        if source not in self._sources and len(self._sources) >= _SOURCES_MAX:
            raise pylibsrtp.Error(f"more than {_SOURCES_MAX} sources of feedback")
        if not self._budget.spend(len(packet)):
            raise pylibsrtp.Error(f"more than {_RTCP_BYTES} bytes of feedback a second")
        found: bytes = self._session.unprotect_rtcp(packet)
        self._sources.add(source)
        return found


def guard(connection: RTCPeerConnection) -> None:
    """To be called after the negotiation, before DTLS is through."""
    transports = {each.receiver.transport for each in connection.getTransceivers()}
    if connection.sctp:
        transports.add(connection.sctp.transport)
    for transport in transports:
        _guard(transport)


def _guard(dtls: Any) -> None:
    setup, handle = dtls._setup_srtp, dtls._handle_rtcp_data

    def bounded() -> None:
        setup()
        if dtls._rx_srtp is not None:
            dtls._rx_srtp = BoundedSession(dtls._rx_srtp)

    async def checked(data: bytes) -> None:
        """aiortc expects nothing but ValueError, and would end the connection."""
        try:
            await handle(data)
        except _MALFORMED as exc:
            logger.debug("malformed RTCP: %r", exc)

    vars(dtls)["_setup_srtp"], vars(dtls)["_handle_rtcp_data"] = bounded, checked
