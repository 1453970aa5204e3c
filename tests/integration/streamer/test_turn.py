"""Our side of a connection behind a real coturn with long-term credentials, over UDP and over TCP."""

import asyncio
import contextlib
import functools
import socket
from pathlib import Path
from typing import Any

import pytest

from appliance.bus.connection import BusAddress
from appliance.bus.messages import IceServer
from appliance.streamer import aioice_adapter, aiortc_adapter
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.capture.select import open_source
from appliance.streamer.frames import Codec
from tests.support.loopback import Loopback
from tests.support.ports import free_ports
from tests.support.room import specification
from tests.support.turn import coturn

pytestmark = pytest.mark.integration


@pytest.fixture
def only_relayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has a TURN server has nothing else."""
    gather = aioice_adapter.Connection.get_component_candidates

    async def relayed(self: aioice_adapter.Connection, component: int, addresses: list[str]) -> Any:
        return await gather(self, component, [] if self.turn_servers else addresses)

    monkeypatch.setattr(aioice_adapter.Connection, "get_component_candidates", relayed)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_packets_reach_a_viewer_through_our_relay(
    only_relayed: None, tmp_path: Path, transport: str
) -> None:
    port = free_ports(1).start
    server = IceServer(
        urls=[f"turn:127.0.0.1:{port}?transport={transport}"], username="box", password="north"
    )
    spec = specification(BusAddress(""))
    picture = Broadcast(functools.partial(open_source, spec, Codec.H264))
    async with (
        coturn(tmp_path, "127.0.0.1", port, "lt-cred-mech", "user=box:north"),
        asyncio.TaskGroup() as group,
    ):
        running = group.create_task(picture.run())
        async with Loopback(picture, ice_servers=[server]) as loopback:
            stamps = set[int]()
            while len(stamps) <= 5:
                stamps.add((await loopback.packets.get()).timestamp)
            assert aiortc_adapter.pair_type(loopback.ours._pc) == "relay"
            assert loopback.ours.track
            assert loopback.ours.track.frames_sent > 5
            packet = await loopback.packets.get()
            assert packet.extensions.transport_sequence_number is not None, "no telling what the way carries"
        running.cancel()


async def test_where_udp_is_blocked_another_transport_relays_and_goes_first_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice_adapter.Connection, "_silent", {})
    port = free_ports(1).start
    known = {"turn_server": ("127.0.0.1", port), "turn_username": "box", "turn_password": "north"}
    ways = [{**known, "turn_ssl": False, "turn_transport": each} for each in ("udp", "tcp")]
    with socket.socket(type=socket.SOCK_DGRAM) as wall:
        wall.bind(("127.0.0.1", port))
        wall.setblocking(False)
        async with coturn(tmp_path, "127.0.0.1", port, "lt-cred-mech", "user=box:north", "no-udp"):
            for knocks in (True, False):
                connection = aioice_adapter.Connection(ice_controlling=True, turn_servers=ways)
                (relay,) = await connection.get_component_candidates(1, [], timeout=1)
                assert relay.type == "relay"
                await connection.close()
                assert heard(wall) is knocks


def heard(wall: socket.socket) -> bool:
    """Whether anything came since the last time."""
    came = False
    with contextlib.suppress(BlockingIOError):
        while wall.recv(1500):
            came = True
    return came
