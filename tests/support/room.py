"""A real streamer process on a real bus, and viewers written from the wire protocol."""

import asyncio
import base64
import contextlib
import json
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import IO, Any, TypeAlias

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from appliance.bus import subjects
from appliance.bus.connection import Bus, BusAddress
from appliance.bus.messages import Done, Role, Screen, SessionState, SessionStatus, StreamerHello
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.spec import EncoderChoice, StreamerSpec
from tests.support.ports import free_ports

SESSION = "s1"


def specification(address: BusAddress, **changes: Any) -> StreamerSpec:
    fields: dict[str, Any] = {
        "instance": "i1",
        "session": SESSION,
        "application": "test-pattern",
        "kind": "test-pattern",
        "screen": Screen(width=320, height=240, fps=15),
        "bitrate_kbps": 1000,
        "encoders": [
            EncoderChoice(name="x264", codec="H264", backend="pyav"),
            EncoderChoice(name="libvpx", codec="VP8", backend="pyav"),
        ],
        "audio": False,
        "bus_url": address.url,
        "bus_user": address.user,
        "bus_password": address.password,
        "viewers_max": 3,
        "udp_port": free_ports(1).start,
    }
    return StreamerSpec(**fields | changes)


@contextlib.asynccontextmanager
async def process(
    spec: StreamerSpec, stderr: int | IO[bytes] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "appliance.streamer", stdin=asyncio.subprocess.PIPE, stderr=stderr
    )
    assert child.stdin
    child.stdin.write(spec.model_dump_json().encode() + b"\n")
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        child.stdin.close()
        with contextlib.suppress(ConnectionError):
            await child.stdin.wait_closed()


@contextlib.asynccontextmanager
async def streamer(
    bus: Bus, spec: StreamerSpec, stderr: IO[bytes] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A streamer that has said that it is active."""
    async with (
        bus.subscribe(subjects.hello(SESSION), StreamerHello) as hellos,
        bus.subscribe(subjects.state(SESSION), SessionState) as states,
        process(spec, stderr) as child,
    ):
        assert (await anext(hellos))[1] == StreamerHello(instance="i1", resumed=spec.resumed)
        state = (await anext(states))[1]
        assert (state.status, state.instance) == (SessionStatus.ACTIVE, "i1")
        yield child


class Viewer:
    """A browser behind a gateway."""

    def __init__(self, bus: Bus, replies: AsyncIterator[tuple[str, PeerReply]], peer: str) -> None:
        self.bus = bus
        self.peer = peer
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.control = self.pc.createDataChannel("control")
        self.messages: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.control.on("message", self._message)
        self.opened = asyncio.Event()
        self.control.on("open", self.opened.set)
        self.closed = asyncio.Event()
        self.pc.on("connectionstatechange", self._note_state)
        self.offer = ""
        self._replies = replies

    def _note_state(self) -> None:
        if self.pc.connectionState == "closed":
            self.closed.set()

    def _message(self, text: str) -> None:
        message = json.loads(text)
        self.messages.put_nowait((message["type"], json.loads(message["data"])))

    async def open(self, **fields: Any) -> None:
        event = PeerEvent(kind="open", peer=self.peer, **{"role": Role.CONTROL, "page": True} | fields)
        await self.bus.request(subjects.up(SESSION), event, Done)

    async def publish(self, kind: str, text: str = "") -> None:
        await self.bus.publish(subjects.up(SESSION), PeerEvent(kind=kind, peer=self.peer, text=text))

    async def send(self, kind: str, **fields: Any) -> None:
        await self.publish("message", json.dumps({"type": kind, **fields}))

    async def expect(self, kind: str) -> dict[str, Any]:
        """The next signaling message, which is of this type."""
        reply = (await anext(self._replies))[1]
        assert reply.kind == "message", reply
        message = json.loads(reply.text)
        assert message["type"] == kind, message
        return dict(message)

    async def expect_close(self) -> None:
        assert (await anext(self._replies))[1].kind == "close"

    async def told(self, kind: str) -> Any:
        """The data of the next control message of this type."""
        while True:
            got, data = await self.messages.get()
            if got == kind:
                return data

    async def negotiate(self, codecs: tuple[str, ...] = (), **settings: Any) -> None:
        await self.send("discover")
        assert (await self.expect("resp:discover"))["max_api_version"] == 2
        await self.send("settings", api_version=2, video={"preferred_decoder_codecs": codecs}, **settings)
        self.offer = base64.b64decode((await self.expect("offer"))["sdp"]).decode()
        await self.pc.setRemoteDescription(RTCSessionDescription(self.offer, "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        await self.send("answer", sdp=b64(self.pc.localDescription.sdp))

    async def watch(self, **settings: Any) -> Any:
        """Connect; returns the first control message, which tells the role."""
        await self.negotiate(**settings)
        kind, role = await self.messages.get()
        assert kind == "fanlight::role"
        return role

    async def frames(self, count: int) -> list[Any]:
        track = next(each.receiver.track for each in self.pc.getTransceivers() if each.kind == "video")
        return [await track.recv() for _ in range(count)]

    def lose(self, every: int) -> None:
        """From now on every so-manieth packet of the picture never arrives; those sent again do."""
        video = next(each for each in self.pc.getTransceivers() if each.kind == "video")
        dtls, codec = video.receiver.transport, video._codecs[0].payloadType
        receive = dtls._handle_rtp_data

        async def receive_some(data: bytes, arrival_time_ms: int) -> None:
            if data[1] & 0x7F != codec or int.from_bytes(data[2:4]) % every:
                await receive(data, arrival_time_ms=arrival_time_ms)

        dtls._handle_rtp_data = receive_some  # type: ignore[method-assign]

    def say(self, kind: str, data: dict[str, Any]) -> None:
        self.control.send(json.dumps({"type": kind, "data": data}))


Visit: TypeAlias = Callable[[], Awaitable[Viewer]]


@contextlib.asynccontextmanager
async def visits(bus: Bus) -> AsyncIterator[Visit]:
    """Makes viewers; they leave at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def visit() -> Viewer:
            peer = f"owner-{uuid.uuid4().hex}"
            replies = await stack.enter_async_context(bus.subscribe(subjects.down(SESSION, peer), PeerReply))
            viewer = Viewer(bus, replies, peer)
            stack.push_async_callback(viewer.pc.close)
            return viewer

        yield visit


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def media(sdp: str) -> list[str]:
    return [line.split()[0].removeprefix("m=") for line in sdp.splitlines() if line.startswith("m=")]


def ports(sdp: str) -> set[int]:
    """Of all candidates."""
    return {int(line.split()[5]) for line in sdp.splitlines() if line.startswith("a=candidate:")}
