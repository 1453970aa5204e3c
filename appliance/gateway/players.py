"""Players (WHEP) and the streamers of what they watch: no socket in between, each request finds its way."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Literal

from appliance.bus.connection import Bus
from appliance.bus.messages import Done
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.subjects import down, up
from appliance.errors import LimitExceededError, UnavailableError
from appliance.gateway.relay import STREAMER_PATIENCE_SECONDS
from appliance.signaling import whep

_OPEN_SECONDS = 3.0
_AGAIN_SECONDS = 0.25
_ANSWER_SECONDS = 10.0


class Players:
    """Holds nothing: whom one node has let in, any other may end. A viewer lives as long as its media do."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def enter(self, session: str, opening: PeerEvent, offer: str) -> str:
        """The streamer's answer to `offer`.

        Raises InvalidInputError where it has none, UnavailableError, also where no more viewers may come.
        """
        async with self._bus.subscribe(down(session, opening.peer), PeerReply) as replies:
            await self._open(session, opening)
            last: Literal["close", "kick"] = "kick"
            try:
                await self.say(session, opening.peer, offer)
                async with asyncio.timeout(_ANSWER_SECONDS):
                    reply = await _said(replies)
                if reply.kind == "close":
                    raise UnavailableError(reply.text or "the application ended this viewer")
                answer = whep.read_reply(reply.text)
                last = "close"  # nobody listens any more, and its connection is all that is left of it
            except TimeoutError:
                raise UnavailableError("the application did not answer the offer in time") from None
            finally:
                with contextlib.suppress(UnavailableError):
                    await self._bus.publish(up(session), _event(last, opening.peer))
        return answer

    async def say(self, session: str, peer: str, text: str) -> None:
        """Raises NotFoundError where this viewer is not there any more, UnavailableError."""
        await self._bus.request(up(session), _event("message", peer, text), Done)

    async def end(self, session: str, peer: str) -> None:
        """Raises NotFoundError where this viewer is not there any more, UnavailableError."""
        await self._bus.request(up(session), _event("kick", peer, "left"), Done)

    async def _open(self, session: str, opening: PeerEvent) -> None:
        began = time.monotonic()
        while True:
            try:
                await self._bus.request(up(session), opening, Done, timeout_s=_OPEN_SECONDS)
            except LimitExceededError as exc:
                raise UnavailableError(str(exc)) from exc
            except UnavailableError:
                if time.monotonic() - began > STREAMER_PATIENCE_SECONDS:
                    raise UnavailableError("the application does not answer yet") from None
                await asyncio.sleep(_AGAIN_SECONDS)  # it may be starting
            else:
                return


async def _said(replies: AsyncIterator[tuple[str, PeerReply]]) -> PeerReply:
    """The first that is not just to see whether anybody listens."""
    while True:
        _, reply = await anext(replies)
        if reply.text or reply.kind == "close":
            return reply


def _event(kind: Literal["message", "close", "kick"], peer: str, text: str = "") -> PeerEvent:
    return PeerEvent(kind=kind, peer=peer, text=text, dialect="whep")
