"""One WebRTC connection to a master: we offer to receive, and take what it sends as it is."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.sdp import SessionDescription

from appliance.bus.connection import heeding_cancellation
from appliance.bus.messages import IceServer
from appliance.errors import InvalidInputError
from appliance.signaling.anbox import Candidate
from appliance.streamer import aiortc_adapter, aiortc_economy, aiortc_reception, descriptions
from appliance.streamer.candidates import Candidates
from appliance.streamer.frames import Codec
from appliance.streamer.ingest.assembly import Arrived
from appliance.streamer.ingest.receiver import Hear, Receiver
from appliance.streamer.mux import Mux

logger = logging.getLogger(__name__)

_CLOSE_S = 1.0
_MEDIA_BYTES = 8 << 20
"""Of a second: 64 Mb/s."""
_NOT_AGREED = (InternalError, InvalidAccessError, InvalidStateError, OperationError, *descriptions.MALFORMED)
_TRANSPORT_WIDE = ("transport-cc", aiortc_adapter.TRANSPORT_CC)
"""Not for us: we answer with REMB, and libwebrtc would listen to nothing else."""


class NoCodecError(InvalidInputError):
    """The master sends no picture in any of the codecs that it was offered."""


class NoSoundError(InvalidInputError):
    """The master rejects the sound: offer it the picture alone."""


class IngestConnection:
    """`show` gets every picture that can be decoded, `hear` every packet of the sound.

    Without a `mux` it opens ports of its own. `ended` is set when the connection is gone.
    """

    def __init__(
        self, ice_servers: Sequence[IceServer], mux: Mux | None, show: Callable[[Arrived], None], hear: Hear
    ) -> None:
        self._show = show
        self._hear = hear
        self._pc = aiortc_adapter.new_connection(ice_servers, mux)
        self._pc.on("connectionstatechange", self._changed)
        self._offered: list[tuple[str, str]] = []
        self._candidates = Candidates(self._pc)
        self._rtcp: asyncio.Queue[bytes] = asyncio.Queue()
        self.decided = asyncio.Event()
        """Set once it is connected, or known that it will not be."""
        self.ended = asyncio.Event()
        self._receiver: Receiver | None = None

    async def offer(self, codecs: Sequence[Codec], *, sound: bool) -> str:
        """Our offer in SDP, with all candidates."""
        video = self._pc.addTransceiver("video", direction="recvonly")
        video.setCodecPreferences(aiortc_adapter.capabilities("video", codecs))
        if sound:
            audio = self._pc.addTransceiver("audio", direction="recvonly")
            audio.setCodecPreferences(aiortc_adapter.capabilities("audio", ("opus",)))
        await self._pc.setLocalDescription(await self._pc.createOffer())
        video.setCodecPreferences([])  # from here on the order of the answer decides
        sdp = str(self._pc.localDescription.sdp)
        self._offered = descriptions.names(sdp)
        return "".join(
            line
            for line in sdp.splitlines(keepends=True)
            if not any(each in line for each in _TRANSPORT_WIDE)
        )

    async def take_answer(self, sdp: str) -> tuple[Receiver, list[Candidate]]:
        """Begin to connect; returns what will receive, and the candidates whose names must be resolved first.

        Raises InvalidInputError, of which NoCodecError and NoSoundError are two.
        """
        if self._pc.signalingState != "have-local-offer":
            raise InvalidInputError("answer: there is no offer to answer")
        sdp, named = descriptions.split_mdns(sdp)
        answered = self._read(sdp)
        try:
            await self._pc.setRemoteDescription(aiortc_economy.described(sdp, answered, "answer"))
        except _NOT_AGREED as exc:
            raise InvalidInputError(f"answer: {exc or type(exc).__name__}") from exc
        video, *audio = self._pc.getTransceivers()
        agreed = aiortc_reception.agreed(video)
        if not agreed:
            raise NoCodecError("answer: no picture is sent")
        receiver = self._receiver = Receiver(
            agreed,
            aiortc_reception.agreed(audio[0]) if audio else (),
            show=self._show,
            hear=self._hear,
            send=self._rtcp.put_nowait,
        )
        aiortc_reception.receive(self._pc, receiver.take, receiver.reported, media_bytes=_MEDIA_BYTES)
        return receiver, named

    async def add_candidate(self, candidate: Candidate) -> None:
        """Try one more way to the master; takes a second where a `.local` name does not resolve.

        Raises InvalidInputError, LimitExceededError.
        """
        await self._candidates.add(candidate)

    async def send_feedback(self) -> None:
        """Send what the receiver has to say, until cancelled."""
        await self.decided.wait()
        while True:
            rtcp = await self._rtcp.get()
            with contextlib.suppress(ConnectionError):  # it is about to end
                await aiortc_reception.send(self._pc, rtcp)

    async def close(self) -> None:
        """End it; the master is told."""
        if self._receiver:
            self._receiver.close()
        try:
            with heeding_cancellation():
                await asyncio.wait_for(self._pc.close(), _CLOSE_S)
        except TimeoutError:
            logger.warning("the connection to the master did not close in time")

    def _changed(self) -> None:
        state = self._pc.connectionState
        if state in ("connected", "failed", "closed"):
            self.decided.set()
        if state in ("failed", "closed"):
            self.ended.set()

    def _read(self, sdp: str) -> SessionDescription:
        parsed = self._candidates.read(sdp)
        if [descriptions.name(media) for media in parsed.media] != self._offered:
            raise InvalidInputError("answer: its media are not those of the offer")
        if not parsed.media[0].port:
            raise NoCodecError("answer: rejects the picture: no codec in common")
        if not all(media.port for media in parsed.media):
            raise NoSoundError("answer: rejects the sound")
        return parsed
