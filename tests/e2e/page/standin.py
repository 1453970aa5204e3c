"""A stand-in for the box, for tests of the page alone: docs/protocol.md, with a pattern through aiortc."""

import asyncio
import base64
import contextlib
import fractions
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from aiohttp import WSMsgType, web
from aiortc import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)

WEB_ROOT = Path(__file__).parents[3] / "appliance" / "gateway" / "web"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self' ws://{host}; manifest-src 'self'; base-uri 'none'; form-action 'self'"
)
WIDTH, HEIGHT, FPS = 640, 360, 15
SESSION = "c25k8fh3pn6a8q46taug"
PIN = "246810"


class Pattern(MediaStreamTrack):
    """A quiet landscape with a moving light. Standing still: no frames at all."""

    kind = "video"

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self.moving = asyncio.Event()
        self.moving.set()
        self._count = 0
        y, x = np.mgrid[0:height, 0:width]
        self._ground = np.stack(
            [40 + 60 * y / height, 50 + 50 * x / width, 90 + 70 * (1 - y / height)], axis=2
        )
        self._x, self._y = x, y

    async def recv(self) -> av.VideoFrame:
        """The next frame, in its time."""
        await asyncio.sleep(1 / FPS)
        await self.moving.wait()
        self._count += 1
        height, width = self._x.shape
        middle = (width / 2 + width / 3 * np.cos(self._count / 20), height / 2)
        glow = 150 * np.exp(-((self._x - middle[0]) ** 2 + (self._y - middle[1]) ** 2) / (height * 9))
        picture = np.clip(self._ground + glow[..., None] * [1.0, 0.8, 0.4], 0, 255).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self._count * 90000 // FPS, fractions.Fraction(1, 90000)
        return frame


@dataclass
class Peer:
    """One peer connection to a page."""

    id: str
    pc: RTCPeerConnection
    pattern: Pattern
    channel: RTCDataChannel | None = None

    def say(self, kind: str, data: dict[str, Any]) -> None:
        """On the control channel, doubly encoded."""
        assert self.channel is not None
        self.channel.send(json.dumps({"type": kind, "data": json.dumps(data)}))


@dataclass
class StandIn:
    """Everything the page can meet, as plain attributes that tests set, and what it sent, as lists."""

    url: str = ""
    role: str | None = "control"
    guest_of: str | None = None
    watch_status: int = 200
    pair_status: int = 200
    adopts: bool = True
    silent: bool = False
    """Answers no signaling."""
    encodes_on: bool = True
    """The stats tell of new frames, whether the pattern moves or not."""
    problem: str = ""
    """Why there is no picture, as the stats tell."""
    microphone_problem: str = ""
    listener: Callable[[str], None] = field(default=lambda _: None)
    """Hears every control message, as it came."""
    width: int = WIDTH
    height: int = HEIGHT
    instances: list[dict[str, Any]] = field(default_factory=list)
    applications: list[str] = field(default_factory=lambda: ["glxgears", "test-pattern"])
    calls: list[tuple[str, Any]] = field(default_factory=list)
    signaling: list[dict[str, Any]] = field(default_factory=list)
    control: list[tuple[str, Any]] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    peers: dict[str, Peer] = field(default_factory=dict)
    frames_encoded: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.instances = self.instances or [instance(SESSION, "desktop", viewers=2)]

    @property
    def peer(self) -> Peer:
        """The newest one."""
        return list(self.peers.values())[-1]

    def kinds(self, prefix: str = "") -> list[str]:
        """Types of the control messages so far."""
        return [kind for kind, _ in self.control if kind.startswith(prefix)]

    def sent(self, kind: str) -> list[Any]:
        """Data of the control messages of one type."""
        return [data for each, data in self.control if each == kind]

    async def until(self, question: Callable[[], Any], seconds: float = 15) -> Any:
        """Wait until what the page sent makes `question` true; raises AssertionError with what came."""
        try:
            async with asyncio.timeout(seconds):
                while not (answer := question()):
                    self._changed.clear()
                    await self._changed.wait()
                return answer
        except TimeoutError:
            raise AssertionError(
                f"only {self.control[-12:]}, {[m['type'] for m in self.signaling]}"
            ) from None

    async def tell(self, kind: str, **fields: Any) -> None:
        """To the newest signaling socket."""
        await self.sockets[-1].send_json({"type": kind, **fields})

    async def drop_socket(self) -> None:
        """Close signaling under the page."""
        await self.sockets[-1].close()

    def _note(self, where: list[Any], what: Any) -> None:
        where.append(what)
        self._changed.set()

    def routes(self) -> list[web.RouteDef]:
        """The gateway's paths."""
        return [
            web.get("/fanlight/me", self._me),
            web.post("/fanlight/{call:pair|guest|leave|launch}", self._call),
            web.get("/fanlight/instances", self._instances),
            web.post("/fanlight/sessions/{id}/watch", self._watch),
            web.get("/socket", self._socket),
            web.get("/{name:.*}", self._file),
        ]

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = WEB_ROOT / (request.match_info["name"] or "index.html")
        if not path.is_file():
            return failure(404, f"there is no {request.path}")
        headers = {
            "Content-Security-Policy": POLICY.format(host=request.host),
            "X-Content-Type-Options": "nosniff",
        }
        return web.FileResponse(path, headers=headers)

    def _as_me(self) -> dict[str, Any]:
        return {
            "box": "atelier", "paired": self.role is not None and self.guest_of is None, "role": self.role,
            "label": "Chrome on Linux PC", "version": "0.1.0", "session": self.guest_of,
        }  # fmt: skip

    async def _me(self, request: web.Request) -> web.Response:
        return web.json_response(self._as_me())

    async def _call(self, request: web.Request) -> web.Response:
        call, body = request.match_info["call"], await request.json()
        self._note(self.calls, (call, body))
        match call:
            case "pair" if self.pair_status != 200:
                return failure(self.pair_status, "too many tries")
            case "pair" if body["pin"] != PIN:
                return failure(401, "that PIN is wrong or has expired")
            case "pair":
                self.role = "control"
            case "guest" if body["share"] != "good":
                return failure(401, "the share link is unknown or has expired")
            case "guest":
                self.role, self.guest_of = "view", SESSION
            case "leave":
                self.role = None
            case "launch" if body["application"] not in self.applications:
                return failure(404, "no such application")
            case "launch":
                return web.json_response({"session": SESSION}, status=201)
        return web.json_response(self._as_me())

    async def _instances(self, request: web.Request) -> web.Response:
        if self.role is None:
            return failure(401, "not paired")
        applications = [{"name": name} for name in self.applications]
        return web.json_response({"instances": self.instances, "applications": applications})

    async def _watch(self, request: web.Request) -> web.Response:
        self._note(self.calls, ("watch", request.match_info["id"]))
        if self.watch_status != 200:
            return failure(self.watch_status, "the bus is away")
        url = f"ws://{request.host}/socket"
        return web.json_response({"url": url, "stun_servers": [], "role": self.role})

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        self._note(self.sockets, ws)
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                await self._hear(ws, json.loads(message.data))
        return ws

    async def _hear(self, ws: web.WebSocketResponse, message: dict[str, Any]) -> None:
        self._note(self.signaling, message)
        if self.silent:
            return
        match message["type"]:
            case "discover":
                await ws.send_json({"type": "resp:discover", "max_api_version": 2})
            case "settings":
                sdp = await self._offer(hears=message["enable_microphone"])
                await ws.send_json({"type": "offer", "sdp": sdp})
            case "answer":
                sdp = base64.b64decode(message["sdp"]).decode()
                await self.peer.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
            case "fanlight::adopt" if self.adopts and message["peer"] in self.peers:
                await ws.send_json({"type": "fanlight::adopted"})
            case "fanlight::adopt":
                await ws.send_json({"type": "fanlight::restart", "reason": "the application started again"})

    async def _offer(self, *, hears: bool) -> str:
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer = Peer(f"peer-{len(self.peers) + 1}", pc, Pattern(self.width, self.height))
        self.peers[peer.id] = peer
        pc.addTrack(peer.pattern)
        pc.addTransceiver(AudioStreamTrack(), direction="sendrecv" if hears else "sendonly")
        pc.createDataChannel("box")

        def on_channel(channel: RTCDataChannel) -> None:
            peer.channel = channel
            channel.on("message", lambda text: self._on_control(peer, text))
            peer.say(
                "fanlight::role",
                {"peer": peer.id, "role": self.role, "width": self.width, "height": self.height},
            )
            self._changed.set()

        pc.on("datachannel", on_channel)
        await pc.setLocalDescription(await pc.createOffer())
        return base64.b64encode(pc.localDescription.sdp.encode()).decode()

    def _on_control(self, peer: Peer, text: str) -> None:
        self.listener(text)
        message = json.loads(text)
        kind, data = message["type"], message["data"]
        if kind == "fanlight::ping":
            peer.say("fanlight::pong", data)
            self.frames_encoded += FPS if self.encodes_on else 0
            peer.say("fanlight::stats", self._stats())
        else:
            self._note(self.control, (kind, data))

    def _stats(self) -> dict[str, Any]:
        return {
            "instance": "i1", "source": "X11 :0", "codec": "VP8", "width": self.width, "height": self.height,
            "encoder": "nvenc", "encoder_reason": "NVIDIA L4, proved by encoding", "fps": float(FPS),
            "capture_to_encoded_p50_ms": 4.2, "capture_to_encoded_p95_ms": 6.8, "frames_dropped": 0,
            "bitrate_kbps": 900.0, "frames_encoded": self.frames_encoded,
            "audio": "opus 48 kHz from monitor", "input": "XTEST on :0", "problem": self.problem,
            "microphone_problem": self.microphone_problem,
            "gamepads": "1 in use",
        }  # fmt: skip

    async def close(self) -> None:
        """End all connections."""
        for ws in self.sockets:
            await ws.close()
        for peer in self.peers.values():
            peer.pattern.moving.set()
            await peer.pc.close()


def instance(session: str, application: str, **fields: Any) -> dict[str, Any]:
    """One entry of the list."""
    return {
        "session": session, "application": application, "status": "active", "message": "", "viewers": 0,
        "width": 1920, "height": 1080, "agent": "atelier", **fields,
    }  # fmt: skip


def failure(status: int, text: str) -> web.Response:
    """An error in the shape of the protocol."""
    body = {"type": "error", "status": "failed", "status_code": status, "error": text}
    return web.json_response(body, status=status)


@contextlib.asynccontextmanager
async def stand_in(**attributes: Any) -> AsyncIterator[StandIn]:
    """A stand-in that serves on loopback."""
    box = StandIn(**attributes)
    app = web.Application()
    app.add_routes(box.routes())
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        box.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield box
    finally:
        await box.close()
        await runner.cleanup()
