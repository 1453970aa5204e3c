"""Ten real WebRTC clients on one port: they come, see the picture, go, and come again."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from appliance.bus.messages import Screen
from appliance.bus.spec import EncoderChoice, StreamerSpec
from appliance.signaling.anbox import Settings
from appliance.streamer.aioice_adapter import host_addresses
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.capture.select import open_source
from appliance.streamer.connection import MediaConnection
from appliance.streamer.frames import Codec
from appliance.streamer.mux import Mux, shared_port
from appliance.streamer.sources import Sources
from appliance.streamer.tracks import SoundFan
from tests.support.ports import free_ports

pytestmark = pytest.mark.integration

VIEWERS = 10
SPEC = StreamerSpec(
    instance="i", session="s", application="a", kind="test-pattern",
    screen=Screen(width=160, height=120, fps=10), bitrate_kbps=300,
    encoders=[EncoderChoice(name="x264", codec="H264", backend="pyav")],
)  # fmt: skip

Watch = Callable[[], AbstractAsyncContextManager[RTCPeerConnection]]


@pytest.fixture
async def mux() -> AsyncIterator[Mux]:
    async with shared_port(free_ports(1), host_addresses()) as mux:
        yield mux


@pytest.fixture
async def watch(mux: Mux) -> AsyncIterator[Watch]:
    """Connects a client to the picture, which is encoded once."""
    picture = Broadcast(functools.partial(open_source, SPEC, Codec.H264))

    @contextlib.asynccontextmanager
    async def watching() -> AsyncIterator[RTCPeerConnection]:
        connected = asyncio.Event()
        ours = MediaConnection(
            Sources({Codec.H264: picture}, SoundFan()),
            [],
            changed=lambda state: state == "connected" and connected.set(),
            channel=print,
            mux=mux,
        )
        theirs = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            offer = await ours.offer(Settings(enable_speaker=False))
            await theirs.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            await theirs.setLocalDescription(await theirs.createAnswer())
            await ours.take_answer(theirs.localDescription.sdp)
            await connected.wait()
            yield theirs
        finally:
            await ours.close()
            await theirs.close()

    async with asyncio.TaskGroup() as group:
        running = group.create_task(picture.run())
        yield watching
        running.cancel()


async def sees(viewer: RTCPeerConnection, frames: int) -> None:
    """Decodes so many more frames; returns when it did."""
    for _ in range(frames):
        await viewer.getReceivers()[0].track.recv()


def routes(mux: Mux) -> int:
    return sum(len(each._agents) + len(each._routes) + len(each._asked) for each in mux.sockets.values())


async def test_ten_viewers_of_one_port_come_and_go(mux: Mux, watch: Watch) -> None:
    async with contextlib.AsyncExitStack() as stay, contextlib.AsyncExitStack() as leave:
        stacks = [stay if number % 2 else leave for number in range(VIEWERS)]
        viewers = [await stack.enter_async_context(watch()) for stack in stacks]
        async with asyncio.TaskGroup() as group:
            for viewer in viewers:
                group.create_task(sees(viewer, 3))
        full = routes(mux)
        await leave.aclose()
        assert 0 < routes(mux) < full
        again = [await leave.enter_async_context(watch()) for _ in range(VIEWERS // 2)]
        async with asyncio.TaskGroup() as group:
            for viewer in (*viewers[1::2], *again):
                group.create_task(sees(viewer, 3))
    assert routes(mux) == 0


async def test_a_viewer_that_dies_without_a_word_harms_no_other(mux: Mux, watch: Watch) -> None:
    async with watch() as living, watch() as dying:
        (transport,) = {each.sender.transport.transport for each in dying.getTransceivers()}
        await transport._connection.close()
        await sees(living, 20)
    assert routes(mux) == 0
