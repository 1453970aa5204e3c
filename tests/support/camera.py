"""A master that sends a picture and a sound: aiortc as it comes, on a network that one can spoil."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack
from aiortc.rtp import AnyRtcpPacket, RtcpPsfbPacket, RtcpRtpfbPacket, RtpPacket, is_rtcp
from av import VideoFrame

Spoil = Callable[[RtpPacket], Iterable[RtpPacket]]
"""What arrives instead of a packet of the picture."""


class Bars(VideoStreamTrack):
    """320x240 at 30 frames a second, each with noise of its own, so that a frame has several packets."""

    def __init__(self, size: tuple[int, int] = (320, 240)) -> None:
        super().__init__()
        self._size = size
        self._chance = np.random.default_rng(1)

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        width, height = self._size
        coarse = self._chance.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        frame = VideoFrame.from_ndarray(coarse.repeat(8, axis=0).repeat(8, axis=1), format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Camera:
    """Answers one offer. `nacks` and `plis` are what it was asked for."""

    def __init__(
        self,
        codec: str = "H264",
        *,
        sound: bool = True,
        spoil: Spoil = lambda packet: [packet],
        size: tuple[int, int] = (320, 240),
    ) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.nacks = self.plis = 0
        self.limits: list[bytes] = []
        self.ended = asyncio.Event()
        self.pc.on(
            "connectionstatechange",
            lambda: self.ended.set() if self.pc.connectionState in ("closed", "failed") else None,
        )
        self._spoil = spoil
        tracks: list[MediaStreamTrack] = [Bars(size), *([AudioStreamTrack()] if sound else [])]
        for track in tracks:
            self.pc.addTrack(track)
        known = RTCRtpSender.getCapabilities("video").codecs
        self.pc.getTransceivers()[0].setCodecPreferences(
            [each for each in known if each.name in (codec, "rtx")]
        )

    async def answer(self, sdp: str) -> str:
        """With all candidates."""
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        self._tap()
        return str(self.pc.localDescription.sdp)

    async def close(self) -> None:
        """Go."""
        await self.pc.close()

    def _tap(self) -> None:
        sender = self.pc.getSenders()[0]
        dtls: Any = sender.transport
        extensions = dtls._rtp_header_extensions_map
        send, hear = dtls._send_rtp, sender._handle_rtcp_packet

        async def spoiled(data: bytes) -> None:
            packet = None if is_rtcp(data) else RtpPacket.parse(data, extensions)
            if packet is None or packet.ssrc != sender._ssrc:
                await send(data)
                return
            for each in self._spoil(packet):
                with contextlib.suppress(ConnectionError):
                    await send(each.serialize(extensions))

        async def heard(packet: AnyRtcpPacket) -> None:
            match packet:
                case RtcpRtpfbPacket():
                    self.nacks += 1
                case RtcpPsfbPacket(fmt=1):
                    self.plis += 1
                case RtcpPsfbPacket():
                    self.limits.append(packet.fci)
            await hear(packet)

        dtls._send_rtp = spoiled
        vars(sender)["_handle_rtcp_packet"] = heard
