"""A viewer of a channel as AWS's SDKs are, media through aiortc."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

from tests.support.kvs import Lobby, Peer


class Watcher:
    """What the viewer of an SDK does, media through aiortc."""

    def __init__(self, peer: Peer, codec: str) -> None:
        self.peer = peer
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.video: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.told: asyncio.Queue[Any] = asyncio.Queue()
        self.pc.on("track", lambda track: track.kind == "video" and self.video.set_result(track))
        self.codec = codec

    async def call(self) -> None:
        channel: RTCDataChannel = self.pc.createDataChannel("kvsDataChannel")
        channel.on("message", self.told.put_nowait)
        known = RTCRtpSender.getCapabilities("video").codecs
        video = self.pc.addTransceiver("video", direction="recvonly")
        video.setCodecPreferences([each for each in known if each.name == self.codec])
        self.pc.addTransceiver("audio", direction="recvonly")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        sdp = self.pc.localDescription.sdp
        lines = [line for line in sdp.splitlines() if not line.startswith(("a=candidate", "a=end-of-cand"))]
        await self.peer.send("SDP_OFFER", {"type": "offer", "sdp": "\r\n".join((*lines, ""))})
        for line in sorted({line for line in sdp.splitlines() if line.startswith("a=candidate")}):
            content = {"candidate": line.removeprefix("a="), "sdpMid": "0", "sdpMLineIndex": 0}
            await self.peer.send("ICE_CANDIDATE", content)
        kind, content, sender = await self.peer.got()
        assert (kind, sender) == ("SDP_ANSWER", None)
        await self.pc.setRemoteDescription(RTCSessionDescription(**content))


@contextlib.asynccontextmanager
async def watching(lobby: Lobby, name: str, codec: str = "H264") -> AsyncIterator[Watcher]:
    """Connecting once entered."""
    async with lobby.viewer(name) as peer:
        watcher = Watcher(peer, codec)
        try:
            await watcher.call()
            yield watcher
        finally:
            await watcher.pc.close()
