"""Our connection, and a plain one of aiortc that receives from it, in one process."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket

from appliance.bus.messages import IceServer
from appliance.signaling.anbox import Settings
from appliance.streamer.connection import MediaConnection
from appliance.streamer.frames import Codec
from appliance.streamer.sources import Sources
from appliance.streamer.tracks import SoundFan


class Loopback:
    """`packets` are those of the picture, `sound` those of the sound, as they arrive, decrypted."""

    def __init__(
        self,
        rendition: Any,
        *,
        codec: Codec = Codec.H264,
        own_packets: bool = True,
        ice_servers: Sequence[IceServer] = (),
        knows: tuple[str, ...] = (),
        speaks: bool = False,
    ) -> None:
        self._speaks = speaks
        self.rendition = rendition
        self.settings = Settings(enable_camera=True, enable_microphone=True, preferred_codecs=knows)
        self.states: asyncio.Queue[str] = asyncio.Queue()
        self.sources = Sources({codec: rendition}, SoundFan(), own_packets=own_packets)
        self.ours = MediaConnection(self.sources, ice_servers, changed=self.states.put_nowait, channel=print)
        self.theirs = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.packets: asyncio.Queue[RtpPacket] = asyncio.Queue()
        self.sound: asyncio.Queue[RtpPacket] = asyncio.Queue()
        self.offer = ""

    @property
    def sender(self) -> Any:
        """aiortc's sender of the picture."""
        return self.ours._video.sender  # type: ignore[union-attr]

    async def __aenter__(self) -> "Loopback":
        """Connect."""
        self.offer = await self.ours.offer(self.settings)
        await self.theirs.setRemoteDescription(RTCSessionDescription(self.offer, "offer"))
        for receiver, arrived in zip(self.theirs.getReceivers(), (self.packets, self.sound), strict=True):
            vars(receiver)["_handle_rtp_packet"] = _into(arrived)
        for transceiver in self.theirs.getTransceivers():
            transceiver.direction = "sendrecv" if self._speaks else "recvonly"
        await self.theirs.setLocalDescription(await self.theirs.createAnswer())
        await self.ours.take_answer(self.theirs.localDescription.sdp)
        while await self.states.get() != "connected":
            continue
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.ours.close()
        await self.theirs.close()


def _into(queue: asyncio.Queue[RtpPacket]) -> Callable[[RtpPacket, int], Awaitable[None]]:
    async def take(packet: RtpPacket, arrival_time_ms: int) -> None:
        queue.put_nowait(packet)

    return take
