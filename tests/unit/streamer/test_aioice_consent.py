"""Consent, and the contract with the privates of aioice 0.13 that it rests on."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aioice.ice
import pytest
from aioice import stun

from appliance.streamer import aioice_adapter as adapter
from appliance.streamer import aioice_consent as consent
from appliance.streamer import aiortc_adapter
from appliance.streamer.mux import Mux, shared_port
from tests.support.ice_agents import agent, pair, tables
from tests.support.ports import free_ports

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def installed() -> None:
    aiortc_adapter.install()


@pytest.fixture
async def mux() -> AsyncIterator[Mux]:
    async with shared_port(free_ports(1), adapter.host_addresses(), "203.0.113.9") as mux:
        yield mux


def test_everybody_is_asked_on_full_seconds_of_one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.25)
    assert {consent._until_question() for _ in range(50)} == {4.75, 5.75}


async def test_consent_is_asked_for_and_given_through_the_port(
    mux: Mux, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consent, "_until_question", lambda: 0.01)
    monkeypatch.setattr(consent, "_SILENT_S", 0.0)
    async with agent(mux=mux) as ours, agent(ice_controlling=True) as theirs:
        await pair(ours, theirs)
        answered: asyncio.Queue[object] = asyncio.Queue()
        (protocol,) = {each.protocol for each in ours._nominated.values()}
        original = protocol.request

        async def request(*arguments: Any, **options: Any) -> Any:
            answer = await original(*arguments, **options)
            answered.put_nowait(answer)
            return answer

        protocol.request = request  # type: ignore[method-assign]
        for _ in range(3):
            await answered.get()
        await theirs.close()
        assert isinstance(await ours.get_event(), aioice.ice.ConnectionClosed)
    assert tables(mux) == 0


@pytest.mark.parametrize(
    ("heard", "lasts", "ended"), [(True, 30.0, False), (False, 30.0, True), (True, 0.2, True)]
)
async def test_who_does_not_answer_stays_while_it_is_heard_and_its_consent_lasts(
    mux: Mux, monkeypatch: pytest.MonkeyPatch, heard: bool, lasts: float, ended: bool
) -> None:
    asked: asyncio.Queue[None] = asyncio.Queue()

    async def lost(*_: Any, **__: Any) -> None:
        asked.put_nowait(None)
        if heard:
            ours.data_received(b"\x80 feedback", 1)
        raise stun.TransactionTimeout

    monkeypatch.setattr(consent, "_until_question", lambda: 0.05)
    monkeypatch.setattr(consent, "_AGAIN_S", 0.02)
    monkeypatch.setattr(consent, "_LASTS_S", lasts)
    monkeypatch.setattr(consent, "_SILENT_S", 0.1)
    async with agent(mux=mux) as ours, agent(mux=mux, ice_controlling=True) as theirs:
        await pair(ours, theirs)
        for each in ours._nominated.values():
            each.protocol.request = lost  # type: ignore[method-assign]
        if ended:
            assert isinstance(await ours.get_event(), aioice.ice.ConnectionClosed)
        else:
            for _ in range(20):
                await asked.get()
            assert ours._nominated
