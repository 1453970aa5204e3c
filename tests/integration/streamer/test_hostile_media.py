"""A viewer with valid keys that sends what it likes: nobody else's picture suffers, the log stays short."""

import asyncio
import contextlib
import itertools
import random
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pylibsrtp
import pytest

from appliance.bus import subjects
from appliance.bus.connection import Bus
from appliance.bus.messages import Role, Screen
from appliance.bus.server import EmbeddedServer
from appliance.bus.stats import InstanceStats
from tests.support.clips import noise
from tests.support.hostile import Fuzzer, fir, nack_of_everything, pli, report
from tests.support.room import Viewer, Visit, specification, streamer

pytestmark = pytest.mark.integration

MOMENTS = 3
PACKETS_PER_SECOND = 500
LOG_LINES = 12
WATCHERS_MAY_CAUSE = 1
"""Keyframes of the first rendition, in any time shorter than half a minute."""
A_PAUSE_MAY_COST = 1
"""One more, where the whole machine stood still and the pictures then come all at once."""
LEAST_S = 0.5
"""Of a moment."""
GROWTH_KIB = 6 * 1024


@dataclass
class Span:
    """What the streamer did and the honest viewer saw in some seconds."""

    rates: list[float]
    """Frames a second that the honest viewer saw, from one moment to the next."""
    encoded: int
    keyframes: int
    resident_kib: int
    cpu_s: float

    @property
    def fps(self) -> float:
        """What the honest viewer saw, but for a moment in which the whole machine stood still."""
        return statistics.median(self.rates)


class Scene:
    """A streamer, an honest viewer, a hostile one."""

    def __init__(self, bus: Bus, pid: int, honest: Viewer, hostile: Viewer, log: Path) -> None:
        self.pid = pid
        self.honest = honest
        self.hostile = hostile
        self.log = log
        self._bus = bus
        self._seen = 0

    @property
    def media(self) -> int:
        """SSRC of the picture that the hostile viewer gets."""
        section = self.hostile.offer.split("m=video")[1].split("m=")[0]
        return int(section.split("a=ssrc:")[1].split()[0])

    @property
    def transport(self) -> Any:
        """aiortc's DTLS transport of the hostile viewer."""
        return self.hostile.pc.getTransceivers()[0].receiver.transport

    @property
    def _protocols(self) -> list[Any]:
        """aioice's, one a local address."""
        return list(self.transport.transport._connection._protocols)

    def lose(self, share: float) -> None:
        """From now on this share of what is sent to the hostile viewer never arrives."""
        chance = random.Random(4)  # noqa: S311
        for protocol in self._protocols:
            receive = protocol.datagram_received

            def some(data: bytes, address: Any, receive: Any = receive) -> None:
                if chance.random() >= share:
                    receive(data, address)

            protocol.datagram_received = some

    def stop_reading(self) -> None:
        """From now on the hostile viewer leaves in its sockets what comes."""
        for protocol in self._protocols:
            asyncio.get_running_loop()._remove_reader(protocol.transport.get_extra_info("socket"))  # type: ignore[attr-defined]

    async def connected(self) -> int:
        """How many viewers are, as the streamer says next time."""
        async with self._bus.subscribe(subjects.stats("i1"), InstanceStats) as said:
            return sum(each.state == "connected" for each in (await anext(said))[1].viewers)

    async def watch(self) -> None:
        """Count what the honest viewer decodes, until cancelled."""
        while True:
            await self.honest.frames(1)
            self._seen += 1

    async def span(self, moments: int) -> Span:
        """Whatever goes on meanwhile; a moment is about a second."""
        process, loop = psutil.Process(self.pid), asyncio.get_running_loop()
        async with self._bus.subscribe(subjects.stats("i1"), InstanceStats) as said:
            before, cpu = (await anext(said))[1], process.cpu_times().user
            began, seen, after, rates = loop.time(), self._seen, before, list[float]()
            while len(rates) < moments:
                after = (await anext(said))[1]
                if (seconds := loop.time() - began) >= LEAST_S:
                    rates.append((self._seen - seen) / seconds)
                    began, seen = loop.time(), self._seen
        return Span(
            rates,
            after.frames_encoded - before.frames_encoded,
            after.keyframes - before.keyframes,
            process.memory_info().rss >> 10,
            round(process.cpu_times().user - cpu, 2),
        )


@pytest.fixture
async def scene(server: EmbeddedServer, bus: Bus, visit: Visit, tmp_path: Path) -> AsyncIterator[Scene]:
    film = noise(tmp_path / "film.mkv", 320, 240)
    screen = Screen(width=320, height=240, fps=30)
    spec = specification(server.address, kind="file", file=str(film), screen=screen, bitrate_kbps=2000)
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        async with streamer(bus, spec, stderr) as child:
            honest, hostile = await visit(), await visit()
            await honest.open()
            await honest.watch()
            await hostile.open(role=Role.VIEW)
            await hostile.watch(enable_camera=True, enable_microphone=True)
            made = Scene(bus, child.pid, honest, hostile, log)
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(made.watch())
                yield made
                watching.cancel()


async def storm(send: Callable[[], Awaitable[None]], sent: list[int]) -> None:
    """At an even rate, until cancelled."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in itertools.count():
        await asyncio.sleep(max(0.0, began + number / PACKETS_PER_SECOND - loop.time()))
        with contextlib.suppress(pylibsrtp.Error):  # our own library refuses some of it
            await send()
            sent.append(number)


def fuzz_rtcp(scene: Scene) -> Callable[[], Awaitable[None]]:
    fuzzer = Fuzzer(1, scene.media)
    return lambda: scene.transport._send_rtp(fuzzer.rtcp())


def fuzz_rtp(scene: Scene) -> Callable[[], Awaitable[None]]:
    fuzzer = Fuzzer(2, scene.media)
    return lambda: scene.transport._send_rtp(fuzzer.rtp())


def garbage(scene: Scene) -> Callable[[], Awaitable[None]]:
    fuzzer = Fuzzer(3, scene.media)
    return lambda: scene.transport.transport._send(fuzzer.noise())


def nack_storm(scene: Scene) -> Callable[[], Awaitable[None]]:
    first = itertools.count(0, 5100)
    return lambda: scene.transport._send_rtp(nack_of_everything(scene.media, next(first) & 0xFFFF))


def pli_storm(scene: Scene) -> Callable[[], Awaitable[None]]:
    return lambda: scene.transport._send_rtp(pli(scene.media))


def fir_storm(scene: Scene) -> Callable[[], Awaitable[None]]:
    number = itertools.count()
    return lambda: scene.transport._send_rtp(fir(scene.media, next(number)))


def many_sources(scene: Scene) -> Callable[[], Awaitable[None]]:
    sources = itertools.count(1000)
    return lambda: scene.transport._send_rtp(report(next(sources)))


ATTACKS = (fuzz_rtcp, fuzz_rtp, garbage, many_sources, nack_storm, pli_storm, fir_storm)


async def test_nobody_else_suffers_from_any_attack(scene: Scene) -> None:
    await scene.span(1)
    calm = await scene.span(MOMENTS)
    print(f"{'calm':14}", calm)
    began = len(scene.log.read_text().splitlines())
    for attack in ATTACKS:
        sent: list[int] = []
        async with asyncio.TaskGroup() as group:
            attacking = group.create_task(storm(attack(scene), sent))
            attacked = await scene.span(MOMENTS)
            attacking.cancel()
        print(f"{attack.__name__:14}", attacked, len(sent))
        assert len(sent) > PACKETS_PER_SECOND
        assert attacked.fps >= 0.8 * calm.fps, attack
        assert attacked.keyframes <= calm.keyframes + WATCHERS_MAY_CAUSE + A_PAUSE_MAY_COST, attack
        assert attacked.resident_kib - calm.resident_kib < GROWTH_KIB, attack
        assert scene.hostile.pc.connectionState == "connected", attack
    said = scene.log.read_text().splitlines()[began:]
    assert len(said) <= LOG_LINES, said


async def test_nobody_else_suffers_from_a_third_lost(scene: Scene) -> None:
    await scene.span(1)
    calm = await scene.span(MOMENTS)
    scene.lose(0.3)
    lossy = await scene.span(2 * MOMENTS)
    print(calm, lossy)
    assert lossy.fps >= 0.8 * calm.fps
    assert lossy.keyframes <= 2 * calm.keyframes + WATCHERS_MAY_CAUSE + A_PAUSE_MAY_COST


async def test_who_never_reads_is_given_up_and_nobody_else_notices(scene: Scene) -> None:
    await scene.span(1)
    calm = await scene.span(MOMENTS)
    scene.stop_reading()
    deaf = await scene.span(MOMENTS)
    while await scene.connected() > 1:
        continue
    print(calm, deaf)
    assert deaf.fps >= 0.8 * calm.fps
    assert deaf.keyframes <= calm.keyframes + WATCHERS_MAY_CAUSE + A_PAUSE_MAY_COST
    assert deaf.resident_kib - calm.resident_kib < GROWTH_KIB
