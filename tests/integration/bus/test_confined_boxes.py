"""nats-server itself keeps a box to what concerns it, and cuts it off when it is revoked."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from nats.aio.client import Client

from appliance.bus import subjects
from appliance.bus.connection import BusAddress, connect
from appliance.bus.messages import Done, SessionGrant, SessionRequest, StopRequest
from appliance.bus.nkey import UserKey
from appliance.bus.permits import BoxUser
from appliance.bus.server import EmbeddedServer, Listen
from appliance.errors import UnavailableError
from appliance.gateway import certificates
from tests.support.gateway import serving

pytestmark = pytest.mark.integration

MINE, THEIRS = subjects.id_of("box1", "s"), subjects.id_of("box2", "s")


class Yard:
    """A listening server, and the keys of two boxes."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.server = server
        self.keys = {box: UserKey.new() for box in ("box1", "box2")}

    async def admit(self, *boxes: str) -> None:
        await self.server.admit([BoxUser(box, self.keys[box].public) for box in boxes])

    def address(self, box: str) -> BusAddress:
        return BusAddress(self.server.address.url, seed=self.keys[box].seed, inbox=subjects.inbox(box))


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    server = EmbeddedServer(tmp_path, Listen("127.0.0.1", 0))
    async with serving(server):
        yard = Yard(server)
        await yard.admit("box1", "box2")
        yield yard


@contextlib.asynccontextmanager
async def raw(yard: Yard, box: str) -> AsyncIterator[tuple[Client, asyncio.Queue[str]]]:
    """The connection of a box, and what the server complains about."""
    said: asyncio.Queue[str] = asyncio.Queue()

    async def complain(exc: Exception) -> None:
        said.put_nowait(str(exc))

    async with connect(yard.address(box), name=box) as bus:
        bus.client._error_cb = complain
        yield bus.client, said


async def test_a_box_asks_and_answers_as_itself(yard: Yard) -> None:
    async def grant(request: SessionRequest) -> SessionGrant:
        return SessionGrant(session=subjects.id_of(request.agent, "s"))

    async def stop(_: StopRequest) -> Done:
        return Done()

    async with (
        connect(yard.server.address, name="gateway") as gateway,
        connect(yard.address("box1"), name="box1") as box,
        asyncio.TaskGroup() as group,
    ):
        ready = [asyncio.Event(), asyncio.Event()]
        asked, told = subjects.sessions("box1"), subjects.stop("box1")
        tasks = [
            group.create_task(gateway.serve(subjects.SESSIONS_ALL, SessionRequest, grant, started=ready[0])),
            group.create_task(box.serve(told, StopRequest, stop, started=ready[1])),
        ]
        for each in ready:
            await each.wait()
        request = SessionRequest(agent="box1", application="demo")
        assert (await box.request(asked, request, SessionGrant)).session == MINE
        assert await gateway.request(told, StopRequest(session=MINE), Done) == Done()
        for task in tasks:
            task.cancel()


@pytest.mark.parametrize(
    "subject",
    [
        subjects.up(THEIRS),
        subjects.down(THEIRS, "*"),
        subjects.state(THEIRS),
        "session.>",
        subjects.stats_of("box2"),
        subjects.launch("box2"),
        subjects.ANNOUNCE_ALL,
        subjects.SESSIONS_ALL,
        "_INBOX.>",
        f"{subjects.inbox('box2')}.>",
        "$KV.>",
        ">",
    ],
)
async def test_a_box_hears_nothing_of_others(yard: Yard, subject: str) -> None:
    async with raw(yard, "box1") as (client, said), asyncio.timeout(5):
        await client.subscribe(subject)
        assert "permissions violation for subscription" in await said.get()


@pytest.mark.parametrize(
    "subject",
    [
        subjects.up(THEIRS),
        subjects.hello(THEIRS),
        subjects.state(THEIRS),
        subjects.announce("box2"),
        subjects.launch("box1"),
        subjects.stop("box2"),
        subjects.sessions("box2"),
        subjects.GATEWAY_SETTINGS,
        "$JS.API.STREAM.NAMES",
        "$KV.accounts.admin",
        "_INBOX.guessed",
    ],
)
async def test_a_box_says_nothing_for_others(yard: Yard, subject: str) -> None:
    async with raw(yard, "box1") as (client, said), asyncio.timeout(5):
        await client.publish(subject, b"{}")
        assert "permissions violation for publish" in await said.get()


async def test_a_revoked_box_is_cut_off_the_other_stays_and_both_may_come_back(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.bus.connection._CONNECT_SECONDS", 3)
    async with (
        connect(yard.address("box1"), name="box1") as revoked,
        connect(yard.address("box2"), name="box2") as other,
    ):
        await yard.admit("box2")
        async with asyncio.timeout(5):
            while revoked.connected:
                await asyncio.sleep(0.01)
        await other.client.flush()
        with pytest.raises(UnavailableError, match="Authorization"):
            async with connect(yard.address("box1"), name="box1"):
                pass
        epoch = revoked.epoch
        await yard.admit("box1", "box2")
        async with asyncio.timeout(10):
            await revoked.reconnected(epoch)


async def test_a_server_that_starts_again_lets_its_boxes_in(yard: Yard) -> None:
    async with connect(yard.address("box1"), name="box1") as bus:
        epoch, pid = bus.epoch, yard.server.pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(10):
            await bus.reconnected(epoch)
        assert yard.server.pid != pid


@pytest.mark.parametrize("fault", ["another", "none"])
async def test_a_box_that_could_not_be_cut_off_is_once_the_certificate_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr("appliance.bus.server._RELOAD_SECONDS", 4)
    ca, cert, key = certificates.new_ca("authority"), tmp_path / "cert.pem", tmp_path / "key.pem"
    first, second = (certificates.new_leaf(ca, "gateway", ["gateway.example.org"]) for _ in range(2))
    cert.write_bytes(first.certificate_pem)
    key.write_bytes(first.key_pem)
    server, pair = EmbeddedServer(tmp_path, Listen("127.0.0.1", 0, cert, key)), UserKey.new()
    faults: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "another": (
            lambda: cert.write_bytes(second.certificate_pem),
            lambda: key.write_bytes(second.key_pem),
        ),
        "none": (lambda: cert.rename(tmp_path / "away"), lambda: (tmp_path / "away").rename(cert)),
    }
    spoil, mend = faults[fault]
    async with serving(server):
        await server.admit([BoxUser("box1", pair.public)])
        address = BusAddress(server.address.url, seed=pair.seed, own=True, inbox=subjects.inbox("box1"))
        async with connect(address, name="box1") as box:
            spoil()
            with pytest.raises(UnavailableError):
                await server.admit([])
            assert box.connected
            mend()
            await server.admit([])
            async with asyncio.timeout(5):
                while box.connected:
                    await asyncio.sleep(0.01)
