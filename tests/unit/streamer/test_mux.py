"""Whose packet it is, on real sockets of loopback."""

import asyncio
import contextlib
import itertools
import os
import tracemalloc
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aioice import stun

from appliance.streamer.mux import Channel, Mux, SharedSocket, named, shared_port
from appliance.streamer.ports import LOOPBACK, bound
from tests.support.ports import free_ports

pytestmark = pytest.mark.unit

FAR = ("192.0.2.7", 5000)
RTP = b"\x80\x60" + bytes(50)


class Agent(asyncio.DatagramProtocol):
    """Takes note of what it gets."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()
        self.lost = asyncio.Event()
        self.channel: Channel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, Channel)
        self.channel = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.got.put_nowait((data, addr))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


def message(kind: stun.Class, **attributes: Any) -> bytes:
    names = {name.upper(): value for name, value in attributes.items()}
    return bytes(stun.Message(stun.Method.BINDING, kind, attributes=names))


def request(name: str) -> bytes:
    return message(stun.Class.REQUEST, priority=1, username=name)


@pytest.fixture
async def mux() -> AsyncIterator[Mux]:
    async with shared_port(free_ports(1), []) as mux:
        yield mux


@pytest.fixture
def shared(mux: Mux) -> SharedSocket:
    return mux.sockets[LOOPBACK]


Join = Callable[[str], Agent]


@pytest.fixture
def join(shared: SharedSocket) -> Join:
    def join(ufrag: str) -> Agent:
        agent = Agent()
        shared.attach(ufrag.encode(), agent)
        return agent

    return join


def is_empty(shared: SharedSocket) -> bool:
    return not (shared._agents or shared._routes or shared._asked)


async def test_a_request_goes_to_the_agent_that_it_names(shared: SharedSocket, join: Join) -> None:
    one, two = join("oneoneon"), join("twotwotw")
    for_one, for_two = request("oneoneon:their"), request("twotwotw:their")
    for data in (for_two, for_one, request("nobodyno:their")):
        shared.datagram_received(data, FAR)
    assert (one.got.qsize(), two.got.qsize(), shared.dropped) == (1, 1, 1)
    assert one.got.get_nowait() == (for_one, FAR)
    assert two.got.get_nowait() == (for_two, FAR)


async def test_media_goes_to_who_was_proved_to_be_there(mux: Mux, join: Join) -> None:
    one, two = join("oneoneon"), join("twotwotw")
    with contextlib.closing(bound(LOOPBACK, 0)) as here, contextlib.closing(bound(LOOPBACK, 0)) as there:
        two.channel.learn(there.getsockname())
        here.sendto(RTP, (LOOPBACK, mux.port))
        there.sendto(RTP, (LOOPBACK, mux.port))
        assert await two.got.get() == (RTP, there.getsockname())
    assert one.got.empty()
    assert mux.sockets[LOOPBACK].dropped == 1


async def test_an_agent_sends_from_the_shared_port(mux: Mux, join: Join) -> None:
    with contextlib.closing(bound(LOOPBACK, 0)) as there:
        join("oneoneon").channel.sendto(RTP, there.getsockname())
        assert there.recvfrom(100) == (RTP, (LOOPBACK, mux.port))


async def test_an_address_that_comes_again_is_the_newcomers(shared: SharedSocket, join: Join) -> None:
    old, new = join("oldoldol"), join("newnewne")
    old.channel.learn(FAR)
    new.channel.learn(FAR)
    old.channel.close()
    shared.datagram_received(RTP, FAR)
    assert (old.got.qsize(), new.got.qsize()) == (0, 1)


async def test_nothing_is_left_of_who_closed(shared: SharedSocket, join: Join) -> None:
    agent = join("oneoneon")
    agent.channel.learn(FAR)
    with agent.channel.asking(b"t" * 12):
        agent.channel.close()
        agent.channel.abort()
    await agent.lost.wait()
    assert agent.channel.is_closing()
    agent.channel.learn(FAR)
    agent.channel.sendto(RTP, FAR)
    shared.datagram_received(RTP, FAR)
    shared.datagram_received(request("oneoneon:their"), FAR)
    assert agent.got.empty()
    assert is_empty(shared)


async def test_an_answer_goes_to_who_asked_and_only_once(shared: SharedSocket, join: Join) -> None:
    one, two = join("oneoneon"), join("twotwotw")
    two.channel.learn(FAR)
    answer = message(stun.Class.RESPONSE)
    with one.channel.asking(answer[8:20]):
        shared.datagram_received(answer, FAR)
        shared.datagram_received(message(stun.Class.ERROR), FAR)
    shared.datagram_received(answer, FAR)
    assert (one.got.qsize(), two.got.qsize(), shared.dropped) == (1, 0, 2)


COOKIE = b"\x21\x12\xa4\x42"


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x00",
        bytes(20),
        b"\x00\x01\x00\x00" + COOKIE + bytes(12),
        b"\x00\x01\xff\xff" + COOKIE + bytes(12) + b"\x00\x06\xff\xff",
        b"\x00\x01\x00\x08" + COOKIE + bytes(12) + b"\x00\x06\x00\x04\xff\xfe:x",
        b"\x00\x01\xff\xff" + COOKIE + bytes(12) + bytes(60_000),
        b"\x00\x11\x00\x00" + COOKIE + bytes(12),
        b"\x01\x01\x00\x00" + COOKIE + bytes(12),
        b"\x03\xff\x00\x00" + COOKIE + bytes(12),
        message(stun.Class.INDICATION, username="oneoneon:x"),
        request("oneoneo"),
        request("oneoneonx:x"),
        request(":"),
        b"\x16\xfe\xff" + bytes(100),
        RTP,
    ],
    ids=len,
)
async def test_garbage_belongs_to_nobody(shared: SharedSocket, join: Join, garbage: bytes) -> None:
    agent = join("oneoneon")
    shared.datagram_received(garbage, FAR)
    assert (shared.dropped, agent.got.qsize()) == (1, 0)


async def test_random_bytes_belong_to_nobody(shared: SharedSocket, join: Join) -> None:
    agent = join("oneoneon")
    for size in range(1000):
        shared.datagram_received(b"\x00\x01" + os.urandom(2) + COOKIE + os.urandom(size % 200), FAR)
    assert (shared.dropped, agent.got.qsize()) == (1000, 0)


async def test_a_flood_leaves_nothing_behind(shared: SharedSocket, join: Join) -> None:
    agent = join("oneoneon")
    packets = [RTP, request("nobodyno:x"), message(stun.Class.RESPONSE), b"\x00\x11" + bytes(30)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number, packet in zip(range(20_000), itertools.cycle(packets), strict=False):
        shared.datagram_received(packet, (f"10.0.{number % 250}.1", number))
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert (shared.dropped, agent.got.qsize(), len(shared._routes)) == (20_000, 0, 0)
    assert grown < 10_000


def test_a_long_request_is_not_searched_to_its_end() -> None:
    header = b"\x00\x01\x00\x00" + COOKIE + bytes(12)
    name = b"\x00\x06\x00\x09oneoneon:" + bytes(3)
    assert named(header + b"\x80\x22\x00\x02ab\0\0" + name) == b"oneoneon"
    assert named(header + bytes(4 * 16) + name) == b""


async def test_who_changes_its_port_all_the_time_keeps_few_routes(shared: SharedSocket, join: Join) -> None:
    agent = join("oneoneon")
    for port in range(1, 1001):
        agent.channel.learn(FAR)
        agent.channel.learn(("192.0.2.8", port))
    assert len(shared._routes) == len(agent.channel.addresses) <= 64
    shared.datagram_received(RTP, FAR)
    shared.datagram_received(RTP, ("192.0.2.8", 1))
    assert agent.got.qsize() == 1


async def test_what_does_not_fit_is_dropped_and_counted(shared: SharedSocket, join: Join) -> None:
    agent = join("oneoneon")
    with contextlib.closing(bound(LOOPBACK, 0)) as there:
        shared.pause_writing()
        agent.channel.sendto(b"late", there.getsockname())
        shared.resume_writing()
        agent.channel.sendto(RTP, there.getsockname())
        assert there.recv(100) == RTP
    assert shared.dropped == 1


async def test_the_network_may_refuse_a_packet(join: Join, shared: SharedSocket) -> None:
    agent = join("oneoneon")
    agent.channel.sendto(bytes(70_000), FAR)
    agent.channel.sendto(RTP, ("255.255.255.255", 9))
    assert not shared.transport.is_closing()


@pytest.mark.parametrize("port", [-1, 0, 65_536, 99_999])
async def test_a_port_that_is_none_gets_nothing(join: Join, shared: SharedSocket, port: int) -> None:
    join("oneoneon").channel.sendto(RTP, (LOOPBACK, port))
    await asyncio.sleep(0)
    assert not shared.transport.is_closing()
    assert shared.dropped == 1


async def test_sockets_follow_the_addresses(mux: Mux, caplog: pytest.LogCaptureFixture) -> None:
    one, two = await mux.attach([LOOPBACK, "192.0.2.1", "127.0.0.2", "127.0.0.2"], "oneoneon", Agent)
    assert "192.0.2.1" in caplog.text
    assert two.channel.get_extra_info("sockname") == ("127.0.0.2", mux.port)
    await mux.attach([LOOPBACK], "twotwotw", Agent)
    assert set(mux.sockets) == {LOOPBACK, "127.0.0.2"}, "it is in use"
    two.channel.close()
    await mux.attach([LOOPBACK], "threethr", Agent)
    assert set(mux.sockets) == {LOOPBACK}
    assert not one.channel.is_closing()


async def test_a_socket_that_broke_is_opened_again(mux: Mux) -> None:
    (there,) = await mux.attach([LOOPBACK], "oneoneon", Agent)
    mux.sockets[LOOPBACK].transport.abort()
    await there.lost.wait()
    (agent,) = await mux.attach([LOOPBACK], "twotwotw", Agent)
    assert not mux.sockets[LOOPBACK].transport.is_closing()
    assert agent.channel.get_extra_info("sockname") == (LOOPBACK, mux.port)


async def test_two_who_come_at_once_share_a_new_socket(mux: Mux) -> None:
    first, second = await asyncio.gather(
        *(mux.attach(["127.0.0.2"], ufrag, Agent) for ufrag in ("oneoneon", "twotwotw"))
    )
    assert len(mux.sockets["127.0.0.2"]._agents) == len(first + second) == 2


async def test_the_end_of_the_port_is_the_end_of_all_on_it() -> None:
    async with shared_port(free_ports(1), []) as mux:
        (agent,) = await mux.attach([LOOPBACK], "oneoneon", Agent)
    await agent.lost.wait()
    with contextlib.closing(bound(LOOPBACK, mux.port)):
        pass


async def test_it_is_the_same_with_ipv6(mux: Mux) -> None:
    (agent,) = await mux.attach(["::1"], "oneoneon", Agent)
    with contextlib.closing(bound("::1", 0)) as there:
        address = there.getsockname()[:2]
        agent.channel.learn(address)
        there.sendto(RTP, ("::1", mux.port))
        assert await agent.got.get() == (RTP, address)
        agent.channel.sendto(RTP, address)
        assert there.recvfrom(100)[1][:2] == ("::1", mux.port)
