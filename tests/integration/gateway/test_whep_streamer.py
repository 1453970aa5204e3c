"""WHEP from HTTP down to the media of a real streamer, and what bad descriptions cost: nothing."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from appliance.bus import subjects
from appliance.bus.stats import InstanceStats, ViewerStats
from appliance.signaling.whep import SDP
from tests.support.gateway import FakeAgent, Street, serving, street, until
from tests.support.room import process, specification

pytestmark = pytest.mark.integration

MUTATIONS = 60


@dataclass
class Hall:
    """A gateway, a streamer behind it, and what that says of its viewers."""

    here: Street
    session: str
    headers: dict[str, str]
    viewers: list[ViewerStats]

    async def offer(self, sdp: str) -> tuple[int, str, str]:
        """Status, where the viewer is, and the answer or why there is none."""
        url, headers = f"{self.here.base}/whep/{self.session}", self.headers | {"Content-Type": SDP}
        async with self.here.http.post(url, data=sdp.encode(), headers=headers) as answer:
            if answer.status != 201:
                return answer.status, "", str((await answer.json())["error"])
            return answer.status, answer.headers["Location"], await answer.text()

    async def end(self, viewer: str) -> int:
        async with self.here.http.delete(self.here.base + viewer, headers=self.headers) as answer:
            return answer.status


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    async with contextlib.AsyncExitStack() as stack:
        here = await stack.enter_async_context(street(tmp_path))
        agent = FakeAgent(here.bus)
        await stack.enter_async_context(serving(agent))
        session = await agent.ask_for_session()
        viewers: list[ViewerStats] = []
        told = await stack.enter_async_context(here.bus.subscribe(subjects.STATS_ALL, InstanceStats))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        listening = group.create_task(_listen(told, viewers))
        await stack.enter_async_context(process(specification(here.server.address, session=session)))
        headers = {"Authorization": f"Bearer {await here.token()}"}
        yield Hall(here, session, headers, viewers)
        listening.cancel()


async def _listen(told: AsyncIterator[tuple[str, InstanceStats]], viewers: list[ViewerStats]) -> None:
    async for _, stats in told:
        viewers[:] = stats.viewers


@contextlib.asynccontextmanager
async def player() -> AsyncIterator[RTCPeerConnection]:
    """One that has made its offer, with all candidates."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTransceiver("video", direction="recvonly")
    pc.addTransceiver("audio", direction="recvonly")
    await pc.setLocalDescription(await pc.createOffer())
    try:
        yield pc
    finally:
        await pc.close()


async def test_a_viewer_is_there_until_it_is_deleted(hall: Hall) -> None:
    async with player() as pc, asyncio.timeout(30):
        _, viewer, answer = await hall.offer(pc.localDescription.sdp)
        assert "a=setup:passive" in answer
        assert answer.count("a=sendonly") == 2
        ended = asyncio.Event()
        pc.on("connectionstatechange", lambda: pc.connectionState == "closed" and ended.set())
        await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        track = pc.getTransceivers()[0].receiver.track
        assert [(await track.recv()).width for _ in range(3)] == [320] * 3
        await until(lambda: [(each.dialect, each.state) for each in hall.viewers] == [("whep", "connected")])
        assert await hall.end(viewer) == 200
        await ended.wait()
        await until(lambda: not hall.viewers)

        async def forgotten() -> bool:
            return await hall.end(viewer) == 404

        await until(forgotten)


async def test_bad_descriptions_are_named_and_cost_nobody_else_anything(hall: Hall) -> None:
    dice = random.Random(7)  # noqa: S311
    async with player() as watching, player() as other, asyncio.timeout(60):
        _, _, answer = await hall.offer(watching.localDescription.sdp)
        await watching.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        track = watching.getTransceivers()[0].receiver.track
        await track.recv()
        lines = other.localDescription.sdp.splitlines()
        for number in range(MUTATIONS):
            status, viewer, said = await hall.offer("\r\n".join([*_mutated(lines, dice), ""]))
            assert status in (201, 400, 406), f"{number}: {status} {said}"
            assert said
            assert "internal" not in said
            if viewer:
                assert await hall.end(viewer) == 200
        await until(lambda: len(hall.viewers) == 1)
        assert (await track.recv()).width == 320


def _mutated(lines: list[str], dice: random.Random) -> list[str]:
    """A line less, twice, elsewhere, or with other characters in it."""
    mutated, at = list(lines), dice.randrange(len(lines))
    match dice.randrange(4):
        case 0:
            del mutated[at]
        case 1:
            mutated.insert(at, mutated[at])
        case 2:
            mutated.insert(dice.randrange(len(lines)), mutated.pop(at))
        case _:
            letters = list(mutated[at])
            letters[dice.randrange(len(letters))] = dice.choice("0 :/=\u00e9\u2028x-\t")
            mutated[at] = "".join(letters)
    return mutated
