"""The microphone of a viewer, recorded from a real PulseAudio."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext

from appliance.streamer import microphone as module
from appliance.streamer.microphone import Microphone, Speaker
from tests.support.sound_server import SoundServer, pitch

pytestmark = pytest.mark.integration

FRAME = 960


def may() -> bool:
    return True


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SoundServer]:
    monkeypatch.setenv("PULSE_SERVER", "")
    server = SoundServer(tmp_path)
    await server.start()
    yield server
    await server.stop()


def tone(frequency: int) -> Iterator[tuple[bytes, int]]:
    """Opus packets of 20 ms with their timestamps, close to the end of what these can count."""
    encoder = AudioCodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48000, "stereo", "s16"
    encoder.time_base = Fraction(1, 48000)
    for number in range(2000):
        time = np.arange(FRAME * number, FRAME * (number + 1)) / 48000
        samples = np.repeat((12000 * np.sin(2 * np.pi * frequency * time)).astype("<i2"), 2)
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], "s16", "stereo")
        frame.sample_rate, frame.pts = 48000, FRAME * number
        for packet in encoder.encode(frame):
            yield bytes(packet), (2**32 - 20 * FRAME + FRAME * number) % 2**32


async def speak(speaker: Speaker, frequency: int) -> None:
    for opus, timestamp in tone(frequency):
        speaker.say(opus, timestamp)
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(server: SoundServer) -> AsyncIterator[Microphone]:
    microphone = Microphone("i1", server.address)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(microphone.run())
        yield microphone
        task.cancel()


async def test_what_a_viewer_says_is_what_applications_record(server: SoundServer) -> None:
    async with running(server) as microphone, asyncio.TaskGroup() as group:
        assert microphone.name not in await server.sources()
        with microphone.speaking(may) as speaker:
            talking = group.create_task(speak(speaker, 440))
            await server.until_source(microphone.name)
            recorded = await server.record(microphone.name, 1.0)
            assert abs(pitch(recorded[24000:]) - 440) < 4
            assert np.sqrt(np.mean(recorded[24000:] ** 2)) == pytest.approx(0.26, abs=0.05)
            assert microphone.description == "source fanlight_i1"
            talking.cancel()


async def test_who_comes_last_is_heard_and_then_the_one_before(
    server: SoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 30)  # a machine that stands still switches nobody off
    async with running(server) as microphone, asyncio.TaskGroup() as group:
        with microphone.speaking(may) as first:
            tasks = [group.create_task(speak(first, 440))]
            await server.until_source(microphone.name)
            with microphone.speaking(may) as second:
                tasks.append(group.create_task(speak(second, 700)))
                assert abs(pitch((await server.record(microphone.name, 1.0))[24000:]) - 700) < 4
            assert abs(pitch((await server.record(microphone.name, 1.0))[24000:]) - 440) < 4
            for each in tasks:
                each.cancel()


async def test_who_switches_off_leaves_it_to_the_one_before(
    server: SoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 3)
    async with running(server) as microphone, asyncio.TaskGroup() as group:
        with microphone.speaking(may) as last, microphone.speaking(may) as first:
            tasks = [group.create_task(speak(first, 440))]
            await server.until_source(microphone.name)
            tasks.append(group.create_task(speak(last, 700)))
            assert abs(pitch((await server.record(microphone.name, 1.0))[24000:]) - 700) < 4
            tasks.pop().cancel()
            assert abs(pitch((await server.record(microphone.name, 2.5))[-24000:]) - 440) < 4
            for each in tasks:
                each.cancel()


async def test_who_says_nothing_has_no_source(server: SoundServer) -> None:
    other = Microphone("i2", server.address)
    async with running(server) as microphone, asyncio.TaskGroup() as group:
        task = group.create_task(other.run())
        with microphone.speaking(may), other.speaking(may) as speaker:
            speaker.say(*next(tone(440)))
            await server.until_source(other.name)
            assert microphone.name not in await server.sources()
        task.cancel()


async def test_who_only_watches_takes_the_microphone_from_nobody(server: SoundServer) -> None:
    async with running(server) as microphone, asyncio.TaskGroup() as group:
        with microphone.speaking(may) as first, microphone.speaking(lambda: False):
            talking = group.create_task(speak(first, 440))
            await server.until_source(microphone.name)
            assert abs(pitch((await server.record(microphone.name, 1.0))[24000:]) - 440) < 4
            talking.cancel()


async def test_the_source_goes_when_nobody_speaks_any_more(
    server: SoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINGER_SECONDS", 0.1)
    async with running(server) as microphone, asyncio.TaskGroup() as group:
        with microphone.speaking(may) as speaker:
            talking = group.create_task(speak(speaker, 440))
            await server.until_source(microphone.name)
            talking.cancel()
            await server.until_source(microphone.name, there=False)
        async with asyncio.timeout(10):
            while microphone.description != "nobody speaks":  # said once the server has answered
                await asyncio.sleep(0.05)
        assert not (server.directory / microphone.name).exists()


async def test_the_source_of_a_streamer_that_was_killed_is_replaced(server: SoundServer) -> None:
    pipe = server.directory / "fanlight_i1"
    await server.run("pactl", "load-module", "module-pipe-source", "source_name=fanlight_i1", f"file={pipe}")
    async with running(server) as microphone, asyncio.TaskGroup() as group:
        with microphone.speaking(may) as speaker:
            talking = group.create_task(speak(speaker, 440))
            async with asyncio.timeout(10):
                while microphone.description != "source fanlight_i1":
                    await asyncio.sleep(0.05)
            assert (await server.sources()).count("fanlight_i1") == 1
            assert abs(pitch((await server.record(microphone.name, 1.0))[24000:]) - 440) < 4
            talking.cancel()


async def test_without_a_sound_server_it_says_so_until_nobody_asks_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY_SECONDS", 1.5)
    microphone = Microphone("i1", f"unix:{tmp_path / 'native'}")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(microphone.run())
        with microphone.speaking(may) as speaker:
            speaker.say(*next(tone(440)))
            async with asyncio.timeout(10):
                while not microphone.problem.startswith("no sound server"):
                    await asyncio.sleep(0.05)
            assert microphone.description == microphone.problem
            async with asyncio.timeout(10):
                while microphone.problem:
                    await asyncio.sleep(0.05)
        assert microphone.description == "nobody speaks"
        task.cancel()


def test_what_is_lost_is_silence_and_what_is_late_is_left_out() -> None:
    speaker = Speaker(lambda: None, may)
    packets = [packet for packet, _ in zip(tone(440), range(6), strict=False)]
    for number in (0, 1, 3, 2, 4):
        speaker.say(*packets[number])
    heard = [len(each) // 4 for each in speaker.heard()]
    assert heard[1:] == [FRAME, 2 * FRAME, FRAME]
    speaker.say(b"\xff" * 3, packets[5][1])
    assert sum(map(len, speaker.heard())) >= 0
