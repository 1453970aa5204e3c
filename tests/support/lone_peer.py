"""One peer of a streamer without a bus, and the browser behind it."""

import asyncio
import base64
import json
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from appliance.bus.messages import Role, ScreenWish
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.spec import StreamerSpec
from appliance.signaling.control import ControlMessage, Key
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.frames import Codec
from appliance.streamer.peer import Peer
from appliance.streamer.sources import Sources
from appliance.streamer.stage import Stage
from appliance.streamer.tracks import SoundFan

SPEC = StreamerSpec(instance="i", session="s", application="a", kind="test-pattern", message_bytes=32768)


class Input:
    def __init__(self) -> None:
        self.handled: asyncio.Queue[tuple[str, Role, ControlMessage]] = asyncio.Queue()
        self.released: asyncio.Queue[str] = asyncio.Queue()
        self.held = False
        self.plugged = False

    def handle(self, viewer: str, role: Role, message: ControlMessage) -> None:
        if isinstance(message, Key) and message.key == "!":
            raise ZeroDivisionError
        self.held = isinstance(message, Key) and message.pressed
        self.handled.put_nowait((viewer, role, message))

    def holds(self, viewer: str) -> bool:
        return self.held or self.plugged

    def release(self, viewer: str) -> None:
        self.held = self.plugged = False
        self.released.put_nowait(viewer)


class House:
    """One peer without a bus, and the browser behind it."""

    def __init__(self, **opening: Any) -> None:
        self.input = Input()
        self.broadcast = Broadcast(Forbidden)
        self.size, self.fps = (640, 480), 60
        self.problem = ""
        self.replies: asyncio.Queue[tuple[str, PeerReply]] = asyncio.Queue()
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.control = self.pc.createDataChannel("control")
        self.told: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.control.on("message", self._told)
        stage = Stage(
            spec=SPEC,
            sources=Sources({Codec.H264: self.broadcast}, SoundFan()),
            input=self.input,
            size=lambda: self.size,
            fps=lambda: self.fps,
            problem=lambda: self.problem,
            resize=self._resize,
        )
        self.peer = Peer(
            PeerEvent(kind="open", peer="p1", **{"role": Role.CONTROL, "page": True} | opening),
            stage,
            reply=lambda peer, reply: self.replies.put_nowait((peer, reply)),
            adopt=lambda *_: False,
        )

    async def _resize(self, wish: ScreenWish) -> None:
        self.size, self.fps = (wish.width or 0, wish.height or 0), wish.fps or 0

    def _told(self, text: str) -> None:
        message = json.loads(text)
        self.told.put_nowait((message["type"], json.loads(message["data"])))

    def send(self, kind: str, **fields: Any) -> None:
        self.peer.receive(json.dumps({"type": kind, **fields}))

    async def expect(self, kind: str) -> dict[str, Any]:
        message = json.loads((await self.replies.get())[1].text)
        assert message["type"] == kind, message
        return dict(message)

    async def connect(self) -> None:
        await self.negotiate()
        assert await self.told.get() == (
            "fanlight::role",
            {"peer": self.peer.id, "role": self.peer.role.value, "width": 640, "height": 480},
        )
        while not self.input.released.empty():
            self.input.released.get_nowait()

    async def negotiate(self) -> None:
        self.send("settings")
        offer = base64.b64decode((await self.expect("offer"))["sdp"]).decode()
        await self.pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        self.send("answer", sdp=base64.b64encode(self.pc.localDescription.sdp.encode()).decode())

    def say(self, message: dict[str, Any]) -> None:
        self.control.send(json.dumps(message))

    def cut(self) -> None:
        """From now on nothing of the browser arrives."""
        for protocol in self.pc.sctp.transport.transport._connection._protocols:
            protocol.transport.sendto = lambda *_: None


class Forbidden:
    def __init__(self) -> None:
        raise NotImplementedError
