"""Where the other side of a connection says that it can be reached, within bounds."""

import logging

from aiortc import RTCPeerConnection
from aiortc.sdp import SessionDescription

from appliance.errors import LimitExceededError
from appliance.signaling.anbox import Candidate
from appliance.streamer import aiortc_adapter, descriptions

logger = logging.getLogger(__name__)

_MOST = 64


class Candidates:
    """Those of its descriptions, and those that come one by one."""

    def __init__(self, connection: RTCPeerConnection) -> None:
        self._connection = connection
        self._count = 0

    def read(self, sdp: str) -> SessionDescription:
        """Its description, the candidates within counted. Raises InvalidInputError, LimitExceededError."""
        parsed = descriptions.parse(sdp)
        self._count += sum(len(media.ice_candidates) for media in parsed.media)
        if self._count > _MOST:
            raise LimitExceededError(f"sdp: more than {_MOST} candidates")
        return parsed

    async def add(self, candidate: Candidate) -> None:
        """Try one more way to it; takes a second where a `.local` name does not resolve.

        Raises InvalidInputError, LimitExceededError.
        """
        self._count += 1
        if self._count > _MOST:
            raise LimitExceededError(f"candidate: more than {_MOST}")
        if not candidate.candidate.removeprefix("candidate:").strip():
            return
        parsed = aiortc_adapter.parse_candidate(
            candidate.candidate, candidate.sdp_mid, candidate.sdp_mline_index
        )
        try:
            await self._connection.addIceCandidate(parsed)
        except (OSError, ValueError) as exc:
            logger.debug("a candidate is of no use: %s", exc)
