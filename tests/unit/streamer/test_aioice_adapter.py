"""Contracts with the privates of aioice 0.13: these fail when it moves."""

import asyncio
import contextlib
import ipaddress
import re
from collections.abc import AsyncIterator
from typing import Any

import aioice.candidate
import aioice.ice
import pytest
from aioice import Candidate, stun
from aiortc import RTCPeerConnection

from appliance.bus.messages import IceServer
from appliance.streamer import aioice_adapter as adapter
from appliance.streamer import aiortc_adapter
from appliance.streamer.mux import Mux, shared_port
from tests.support.ice_agents import agent, pair, tables
from tests.support.ports import free_ports

pytestmark = pytest.mark.unit

FAR = ("192.0.2.7", 5000)


@pytest.fixture(autouse=True)
def installed() -> None:
    aiortc_adapter.install()


@pytest.fixture
async def mux() -> AsyncIterator[Mux]:
    async with shared_port(free_ports(1), adapter.host_addresses(), "203.0.113.9") as mux:
        yield mux


def test_a_machine_without_a_network_still_has_an_address() -> None:
    assert "get_host_addresses" in aioice.ice.Connection.gather_candidates.__code__.co_names
    assert adapter._host_addresses(True, True, lambda *_, **__: []) == ["127.0.0.1"]
    assert adapter.host_addresses()


def test_addresses_of_candidates_are_read_once() -> None:
    assert aioice.candidate.ipaddress.ip_address.cache_info().maxsize == 256
    assert set(aioice.candidate.Candidate.can_pair_with.__code__.co_names) >= {"ipaddress", "ip_address"}
    one, other = (Candidate("1", 1, "udp", 1, host, 5, "host") for host in ("192.0.2.1", "fd00::1"))
    assert one.can_pair_with(one)
    assert not one.can_pair_with(other)


async def test_the_port_reaches_the_agent_through_aiortc(mux: Mux) -> None:
    for given in (mux, None):
        connection = aiortc_adapter.new_connection([], given)
        connection.createDataChannel("x")
        assert connection.sctp.transport.transport._connection._mux is given
        await connection.close()
    strangers = RTCPeerConnection()
    strangers.createDataChannel("x")
    assert strangers.sctp.transport.transport._connection._mux is None
    await strangers.close()


async def test_all_host_candidates_are_on_the_port_and_one_is_outside(mux: Mux) -> None:
    async with agent(mux=mux) as one:
        *inside, outside = one.local_candidates
        assert [each.host for each in inside] == list(dict.fromkeys(adapter.host_addresses()))
        assert {each.port for each in one.local_candidates} == {mux.port}
        assert {each.type for each in one.local_candidates} == {"host"}
        assert (outside.host, outside.priority < inside[0].priority) == ("203.0.113.9", True)
        assert outside.foundation not in {each.foundation for each in inside}


@pytest.mark.parametrize("external", ["", "2001:db8::9"])
async def test_an_outside_address_needs_an_inside_one_of_its_kind(mux: Mux, external: str) -> None:
    mux.external = external
    async with agent(mux=mux) as one:
        found = {each.host for each in one.local_candidates}
    kinds = {ipaddress.ip_address(each).version for each in adapter.host_addresses()}
    assert (external in found) == (external != "" and 6 in kinds)


async def test_names_are_long_enough_for_a_shared_table(mux: Mux) -> None:
    async with agent(mux=mux) as one, agent(local_username="abcd") as two:
        assert (len(one.local_username), two.local_username) == (8, "abcd")


async def test_many_agents_on_one_port_keep_their_traffic_apart(mux: Mux) -> None:
    async with contextlib.AsyncExitStack() as stack:
        pairs = []
        for _ in range(5):
            ours = await stack.enter_async_context(agent(mux=mux))
            theirs = await stack.enter_async_context(agent(ice_controlling=True))
            await pair(ours, theirs)
            pairs.append((ours, theirs))
        for number, (ours, theirs) in enumerate(pairs):
            await ours.send(b"\x80 to %d" % number)
            await theirs.send(b"\x80 from %d" % number)
        for number, (ours, theirs) in enumerate(pairs):
            assert await theirs.recv() == b"\x80 to %d" % number
            assert await ours.recv() == b"\x80 from %d" % number
            assert ours._nominated[1].local_addr[1] == mux.port
    assert tables(mux) == 0


async def test_reports_on_nothing_wake_nobody(mux: Mux) -> None:
    async with agent(mux=mux) as ours, agent(ice_controlling=True) as theirs:
        await pair(ours, theirs)
        empty = b"\x80\xc9\0\1 source, index, tag".ljust(28)
        asking = empty + b"and what is lost"
        for said in (empty, b"\x80\xc9\0\7 one stream", empty, asking, empty, b"\x80 media"):
            await theirs.send(said)
        heard = [await ours.recv() for _ in range(3)]
        assert heard == [b"\x80\xc9\0\7 one stream", asking, b"\x80 media"]


async def test_whatever_the_other_side_sends_is_a_sign_of_life(mux: Mux) -> None:
    for options in ({"mux": mux}, {}):
        async with agent(**options) as ours, agent(ice_controlling=True) as theirs:
            await pair(ours, theirs)
            for said in (b"\x80\xc9\0\1 empty", b"\x80 media"):
                ours.heard_at = 0.0
                await theirs.send(said)
                async with asyncio.timeout(5):
                    while not ours.heard_at:
                        await asyncio.sleep(0)


async def test_a_packet_without_content_reaches_nobody(mux: Mux) -> None:
    for options in ({"mux": mux}, {}):
        async with agent(**options) as ours, agent(ice_controlling=True) as theirs:
            await pair(ours, theirs)
            way = ours._nominated[1]
            way.protocol.datagram_received(b"", way.remote_addr)
            await theirs.send(b"\x80 media")
            assert await ours.recv() == b"\x80 media", "aiortc would look at the first byte, and end"


async def test_only_what_may_be_stun_is_read_as_such(mux: Mux, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    parse = stun.parse_message

    def recorded(data: bytes) -> stun.Message:
        read.append(data)
        return parse(data)

    async with agent(mux=mux, ice_controlling=True) as ours, agent() as theirs:
        await pair(ours, theirs)
        way = ours._nominated[1]
        monkeypatch.setattr(stun, "parse_message", recorded)
        for data in (b"\x80 media", b"\x16 handshake", b"\x03 no STUN either"):
            way.protocol.datagram_received(data, way.remote_addr)
            assert await ours.recv() == data
    assert [each for each in read if each[:1] >= b"\x03"] == [b"\x03 no STUN either"]


def test_messages_are_signed_as_aioice_signs_them() -> None:
    """With the request of RFC 5769 section 2.1."""
    request = bytes.fromhex(
        "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff"
        "80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249"
        "c1b571a280280004e57a3bcf"
    )
    message = stun.parse_message(request)
    assert message.check_message_integrity(b"VOkJxbRl1RmTxUk/WvJxBt")
    assert not message.check_message_integrity(b"another")
    for method in (stun.Message.add_message_integrity, stun.Message.check_message_integrity):
        assert "message_integrity" in method.__code__.co_names
    assert {"ipaddress", "ip_address", "IPv4Address"} <= set(stun.pack_address.__code__.co_names)
    for address in (("192.0.2.1", 32853), ("fd00::1", 5)):
        assert stun.unpack_address(stun.pack_address(address)) == address


async def test_names_and_passwords_have_the_characters_that_they_may_have() -> None:
    assert {"random_string"} <= set(aioice.ice.Connection.__init__.__code__.co_names)
    async with agent() as one, agent() as other:
        for each in (one, other):
            assert re.fullmatch(r"[A-Za-z0-9+/]{8}", each.local_username)
            assert re.fullmatch(r"[A-Za-z0-9+/]{22}", each.local_password)
        assert one.local_password != other.local_password
    assert vars(aioice.ice)["random_string"] is adapter._random


async def test_a_connection_waits_for_no_pace_of_checks(mux: Mux, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_CHECK_SECONDS", 3600)
    rounds: list[bool] = []
    original = adapter.Connection._check_periodic

    def counted(self: adapter.Connection) -> bool:
        rounds.append(original(self))
        return rounds[-1]

    monkeypatch.setattr(adapter.Connection, "_check_periodic", counted)
    async with agent(mux=mux) as one, agent(mux=mux, ice_controlling=True) as two:
        await pair(one, two)
    assert rounds == [False, False], "connect would sleep between rounds"


async def test_who_is_told_of_the_other_side_late_still_checks_it(mux: Mux) -> None:
    async with agent(mux=mux) as one, agent(mux=mux, ice_controlling=True) as two:
        for here, there in ((one, two), (two, one)):
            here.remote_username, here.remote_password = there.local_username, there.local_password
        async with asyncio.TaskGroup() as group:
            group.create_task(one.connect())
            group.create_task(two.connect())
            await asyncio.sleep(0)
            await one.add_remote_candidate(two.local_candidates[0])


async def test_who_is_told_that_there_is_nobody_gives_up(mux: Mux) -> None:
    async with agent(mux=mux) as one:
        one.remote_username, one.remote_password = "them", "x" * 22
        await one.add_remote_candidate(None)
        with pytest.raises(ConnectionError, match="failed"):
            async with asyncio.timeout(5):
                await one.connect()


@pytest.mark.parametrize(
    ("host", "port"),
    [("192.0.2.1", 99_999), ("192.0.2.1", -1), ("192.0.2.1", 0), ("fe80::1%a\0b", 9), ("fe80::1%\u00e9", 9)],
)
async def test_a_candidate_that_is_no_place_harms_nobody(mux: Mux, host: str, port: int) -> None:
    async with agent(mux=mux) as hostile:
        hostile.remote_username, hostile.remote_password = "them", "x" * 22
        await hostile.add_remote_candidate(Candidate("1", 1, "udp", 2_130_706_431, host, port, "host"))
        await hostile.add_remote_candidate(None)
        with pytest.raises(ConnectionError, match="failed"):
            async with asyncio.timeout(5):
                await hostile.connect()
        assert not hostile.remote_candidates
        assert not any(each.transport.is_closing() for each in mux.sockets.values())


async def test_two_agents_of_the_same_port_may_meet(mux: Mux) -> None:
    async with agent(mux=mux) as one, agent(mux=mux, ice_controlling=True) as two:
        await pair(one, two)
        await one.send(b"\x80 hello")
        assert await two.recv() == b"\x80 hello"


async def test_gathering_that_is_cancelled_leaves_nothing(mux: Mux) -> None:
    made = adapter.Connection(mux=mux, ice_controlling=False, stun_server=("192.0.2.1", 9))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await made.gather_candidates()
    await made.close()
    assert tables(mux) == 0


class _StunServer(asyncio.DatagramProtocol):
    """Answers as a NAT would make it see us: at another address."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        asked = stun.parse_message(data)
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, asked.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = ("203.0.113.1", addr[1])
        self.transport.sendto(bytes(answer), addr)


async def test_a_stun_server_sees_the_shared_port(mux: Mux) -> None:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        _StunServer, local_addr=("0.0.0.0", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    host = next(each for each in adapter.host_addresses() if "." in each)

    def mapped(candidates: list[Candidate]) -> set[tuple[str, int]]:
        return {(each.host, each.port) for each in candidates if each.type == "srflx"}

    async with (
        agent(mux=mux, stun_server=(host, port)) as one,
        agent(mux=mux, stun_server=(host, port)) as two,
    ):
        assert mapped(one.local_candidates) == mapped(two.local_candidates) == {("203.0.113.1", mux.port)}
    transport.close()


@pytest.mark.parametrize("shared", [True, False])
async def test_a_dead_stun_server_holds_the_offer_up_for_two_seconds_at_most(mux: Mux, shared: bool) -> None:
    servers = [IceServer(urls=["stun:192.0.2.1:9"])]
    connection = aiortc_adapter.new_connection(servers, mux if shared else None)
    connection.createDataChannel("x")
    async with asyncio.timeout(4.5):  # aioice would wait for 5 seconds
        await connection.setLocalDescription(await connection.createOffer())
    await connection.close()


async def test_sockets_of_ones_own_have_room_too() -> None:
    async with agent() as alone:
        for protocol in alone._protocols:
            found = protocol.transport.get_extra_info("socket")
            assert found.getsockopt(1, 7) > 200_000


async def test_only_who_knows_the_password_is_learned(mux: Mux) -> None:
    async with agent(mux=mux) as one:
        shared = next(iter(mux.sockets[each.host] for each in one.local_candidates))
        one.remote_username = "them"
        for password, routes in (("wrong", 0), (one.local_password, 1)):
            request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
            request.attributes |= {"USERNAME": f"{one.local_username}:them", "PRIORITY": 1}
            request.add_message_integrity(password.encode())
            shared.datagram_received(bytes(request), FAR)
            assert len(shared._routes) == routes


@pytest.mark.parametrize(
    "attribute",
    [b"\x00\x24\x00\x02ab\0\0", b"\x80\x28\x00\x01a\0\0\0", b"\x00\x0c\x00\x00", b"\x00\x20\x00\x00"],
)
async def test_malformed_attributes_harm_nobody(mux: Mux, attribute: bytes) -> None:
    async with agent(mux=mux) as one:
        shared = mux.sockets[one.local_candidates[0].host]
        name = one.local_username.encode() + b":them"
        body = b"\x00\x06\x00" + bytes([len(name)]) + name + bytes(-len(name) % 4) + attribute
        header = b"\x00\x01" + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + bytes(12)
        shared.datagram_received(header + body, FAR)
        assert (len(shared._routes), shared.dropped) == (0, 0)
