"""A real streamer process that publishes to a WHIP endpoint written from RFC 9725."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from appliance.bus import subjects
from appliance.bus.connection import Bus, BusAddress, connect
from appliance.bus.messages import Done, Publication, Screen
from appliance.bus.spec import EncoderChoice, StreamerSpec
from appliance.bus.stats import InstanceStats
from tests.support.gateway import nats_server, until
from tests.support.ports import free_ports
from tests.support.turn import coturn

pytestmark = pytest.mark.integration

TOKEN = "let-me-in"


class Endpoint:
    """Takes one stream after another, and looks at their pictures."""

    def __init__(self) -> None:
        self.token = TOKEN
        self.redirects = 0
        self.offers: list[str] = []
        self.links: list[str] = []
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.sizes: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        self.peers: list[RTCPeerConnection] = []
        self._watching: asyncio.TaskGroup
        self._watches: list[asyncio.Task[None]] = []
        self.url = ""
        self.quick = asyncio.Event()
        """Not set: offers are answered only once it is."""
        self.quick.set()

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        app = web.Application()
        app.add_routes(
            [
                web.post("/old", self._redirect),
                web.post("/whip/desk", self._publish),
                web.options("/whip/desk", self._tell),
                web.delete("/whip/desk/{id}", self._end),
            ]
        )
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with asyncio.TaskGroup() as self._watching:
                yield
                for peer in self.peers:
                    await peer.close()
                for each in self._watches:  # of a peer that never connected
                    each.cancel()
        finally:
            await runner.cleanup()

    async def _redirect(self, _: web.Request) -> web.Response:
        self.redirects += 1
        return web.Response(status=307, headers={"Location": "/whip/desk"})

    async def _tell(self, request: web.Request) -> web.Response:
        assert request.headers["Access-Control-Request-Headers"] == "Link"
        response = web.Response(status=204)
        for each in self.links:
            response.headers.add("Link", each)
        return response

    async def _publish(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        assert request.content_type == "application/sdp"
        offer = await request.text()
        self.offers.append(offer)
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.peers.append(peer)
        peer.on("track", self._begin_to_watch)
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        headers = {"Location": f"/whip/desk/{len(self.peers)}"}
        await self.quick.wait()
        sdp = peer.localDescription.sdp
        return web.Response(status=201, text=sdp, content_type="application/sdp", headers=headers)

    async def _end(self, request: web.Request) -> web.Response:
        await self.ended.put(request.match_info["id"])
        return web.Response()

    def _begin_to_watch(self, track: Any) -> None:
        self._watches.append(self._watching.create_task(self._watch(track)))

    async def _watch(self, track: Any) -> None:
        while track.kind == "video":
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            self.sizes.put_nowait((frame.width, frame.height))


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    async with endpoint.serve():
        yield endpoint


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[BusAddress]:
    async with nats_server(tmp_path) as server:
        yield server.address


@pytest.fixture
async def bus(address: BusAddress) -> AsyncIterator[Bus]:
    async with connect(address, name="test") as bus:
        yield bus


@contextlib.asynccontextmanager
async def publishing(address: BusAddress, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    spec = StreamerSpec(
        instance="i1",
        session="s1",
        application="test-pattern",
        kind="test-pattern",
        screen=Screen(width=320, height=240, fps=15),
        encoders=[EncoderChoice(name="x264", codec="H264", backend="pyav")],
        audio=False,
        publication=Publication(url=url, token=TOKEN),
        bus_url=address.url,
        bus_user=address.user,
        bus_password=address.password,
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "appliance.streamer", stdin=asyncio.subprocess.PIPE
    )
    assert process.stdin
    process.stdin.write(spec.model_dump_json().encode() + b"\n")
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()
        process.stdin.close()


async def says(bus: Bus, words: str) -> None:
    async with bus.subscribe(subjects.STATS_ALL, InstanceStats) as all_stats:
        async for _, stats in all_stats:
            if words in stats.published:
                return


async def test_the_picture_is_published_and_the_end_is_told(
    address: BusAddress, bus: Bus, endpoint: Endpoint
) -> None:
    async with asyncio.timeout(30), publishing(address, f"{endpoint.url}/whip/desk") as process:
        assert await endpoint.sizes.get() == (320, 240)
        await says(bus, "127.0.0.1: connected")
        (offer,) = endpoint.offers
        assert "m=application" not in offer
        process.send_signal(signal.SIGTERM)
        assert await endpoint.ended.get() == "1"


async def test_a_redirection_is_followed(address: BusAddress, endpoint: Endpoint) -> None:
    async with asyncio.timeout(30), publishing(address, f"{endpoint.url}/old"):
        assert await endpoint.sizes.get() == (320, 240)
    assert endpoint.redirects == 1


async def test_a_refusal_is_told_and_tried_again(address: BusAddress, bus: Bus, endpoint: Endpoint) -> None:
    endpoint.token = "another"
    async with asyncio.timeout(30), publishing(address, f"{endpoint.url}/whip/desk"):
        await says(bus, "127.0.0.1: it answered 401: the token is missing or wrong")
        endpoint.token = TOKEN
        assert await endpoint.sizes.get() == (320, 240)


async def test_a_lost_connection_begins_anew(address: BusAddress, endpoint: Endpoint) -> None:
    async with asyncio.timeout(30), publishing(address, f"{endpoint.url}/whip/desk"):
        await endpoint.sizes.get()
        await endpoint.peers[0].close()
        assert await endpoint.ended.get() == "1"
        while len(endpoint.offers) < 2:
            await endpoint.sizes.get()


async def test_where_the_stream_goes_may_change_while_it_runs(
    address: BusAddress, bus: Bus, endpoint: Endpoint
) -> None:
    async def publish(url: str) -> None:
        await bus.request(subjects.publication("s1"), Publication(url=url, token=TOKEN), Done)

    async with asyncio.timeout(30), publishing(address, ""):
        await says(bus, "")
        await publish(f"{endpoint.url}/whip/desk")
        assert await endpoint.sizes.get() == (320, 240)
        await says(bus, "127.0.0.1: connected")
        await publish(f"{endpoint.url}/whip/desk")
        await publish("")
        assert await endpoint.ended.get() == "1"
        assert len(endpoint.offers) == 1


async def test_an_offer_that_is_given_up_before_its_answer_leaves_nothing_behind(
    address: BusAddress, bus: Bus, endpoint: Endpoint
) -> None:
    endpoint.quick.clear()
    async with asyncio.timeout(30), publishing(address, f"{endpoint.url}/whip/desk"):
        await until(lambda: endpoint.offers, 30)
        await bus.request(subjects.publication("s1"), Publication(), Done)
        endpoint.quick.set()
        assert await endpoint.ended.get() == "1"


async def test_relays_that_the_server_names_are_used(
    address: BusAddress, endpoint: Endpoint, tmp_path: Path
) -> None:
    port = free_ports(1).start
    url = f"turn:127.0.0.1:{port}?transport=udp"
    endpoint.links = [f'<{url}>; rel="ice-server"; username="u"; credential="p"; credential-type="password"']
    async with (
        asyncio.timeout(30),
        coturn(tmp_path, "127.0.0.1", port, "lt-cred-mech", "user=u:p"),
        publishing(address, f"{endpoint.url}/whip/desk"),
    ):
        assert await endpoint.sizes.get() == (320, 240)
    assert " typ relay " in endpoint.offers[0]
