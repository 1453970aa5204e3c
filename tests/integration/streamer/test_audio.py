"""Sound from a real PulseAudio, heard by decoding the Opus."""

import asyncio
import contextlib
import itertools
import statistics
from collections.abc import AsyncIterator
from pathlib import Path

import av
import numpy as np
import pytest

from appliance.streamer.audio import AudioSource
from appliance.streamer.talkspurts import EncodedAudio, silence
from tests.support.sound_server import SoundServer

pytestmark = pytest.mark.integration

SILENCE = silence(20)
FRAME = 960
"""Samples of a packet."""


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SoundServer]:
    monkeypatch.setenv("PULSE_SERVER", "")
    server = SoundServer(tmp_path)
    await server.start()
    yield server
    await server.stop()


@contextlib.asynccontextmanager
async def listening(audio: AudioSource) -> AsyncIterator[asyncio.Queue[EncodedAudio]]:
    packets: asyncio.Queue[EncodedAudio] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(audio.run(packets.put_nowait))
        try:
            yield packets
        finally:
            task.cancel()


async def until_described(audio: AudioSource, text: str) -> None:
    async with asyncio.timeout(20):  # the longest pause before it is tried again, and some
        while text not in audio.description:
            await asyncio.sleep(0.01)


async def hear(
    packets: asyncio.Queue[EncodedAudio], seconds: float = 0.5
) -> tuple[float, list[EncodedAudio]]:
    """Dominant frequency of what comes next."""
    async with asyncio.timeout(20):
        got: list[EncodedAudio] = []
        while len(got) < seconds * 48_000 / FRAME:
            got += sounds([await packets.get()])
    strength = spectrum(got)
    return float(np.argmax(strength) / 2 / len(strength) * 48000), got


def sounds(packets: list[EncodedAudio]) -> list[EncodedAudio]:
    """Those that are to be heard."""
    return [packet for packet in packets if packet.data != SILENCE]


def spectrum(packets: list[EncodedAudio]) -> np.ndarray:
    """Strength of each frequency up to 24 kHz, in equal steps."""
    decoder = av.CodecContext.create("opus", "r")
    decoder.sample_rate, decoder.layout = 48000, "stereo"
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet.data))]
    left = np.concatenate([frame.to_ndarray()[0] for frame in frames])  # planar
    return np.abs(np.fft.rfft(left * np.hanning(len(left))))[:-1]


async def test_a_tone_arrives_as_the_tone(server: SoundServer) -> None:
    audio = AudioSource(pulse_server=server.address)
    async with listening(audio) as packets:
        await until_described(audio, "opus 48 kHz from speakers.monitor")
        await server.play(440, "speakers")
        frequency, got = await hear(packets)
    assert frequency == pytest.approx(440, abs=5)
    steps = [after.timestamp - before.timestamp for before, after in itertools.pairwise(got)]
    assert statistics.mode(steps) == FRAME
    assert all(step > 0 and step % FRAME == 0 for step in steps)  # a busy machine's player leaves gaps


async def test_of_silence_there_is_little_and_the_microphone_is_never_sent(server: SoundServer) -> None:
    audio = AudioSource(pulse_server=server.address)
    async with listening(audio) as packets:
        got = [await packets.get() for _ in range(7)]  # the microphone hums all the while
    assert {each.data for each in got} == {SILENCE}
    assert got[-1].timestamp - got[-2].timestamp >= 19_200


async def test_tones_and_pauses_keep_their_times(server: SoundServer) -> None:
    audio = AudioSource(pulse_server=server.address)
    async with listening(audio) as packets:
        await until_described(audio, "speakers.monitor")
        await server.play(440, "speakers", tone_s=0.1, pause_s=0.5)
        got: list[EncodedAudio] = []
        onsets: list[int] = []
        async with asyncio.timeout(20):
            while len(onsets) < 6:
                got.append(await packets.get())
                if len(got) > 1 and got[-2].data == SILENCE != got[-1].data:
                    onsets.append(got[-1].timestamp)
    spurts = [
        [each.data for each in got if earlier <= each.timestamp < later]
        for earlier, later in itertools.pairwise(onsets)
    ]
    # Of five, since a busy machine's player leaves gaps.
    assert statistics.median(len(spurt) - spurt.count(SILENCE) for spurt in spurts) in (6, 7)
    assert statistics.median(spurt.count(SILENCE) for spurt in spurts) in (3, 4)
    steps = [later - earlier for earlier, later in itertools.pairwise(onsets)]
    assert statistics.median(steps) == pytest.approx(0.6 * 48_000, abs=FRAME)


async def test_another_default_output_is_followed(server: SoundServer) -> None:
    audio = AudioSource(pulse_server=server.address)
    await server.play(440, "speakers")
    await server.play(880, "headphones")
    async with listening(audio) as packets:
        frequency, earlier = await hear(packets)
        assert frequency == pytest.approx(440, abs=5)
        server.players[0].terminate()  # the server may move what it plays to the new output
        await server.players[0].wait()
        await server.run("pactl", "set-default-sink", "headphones")
        await until_described(audio, "headphones.monitor")
        while not packets.empty():
            earlier.append(packets.get_nowait())
        frequency, got = await hear(packets)
    assert frequency == pytest.approx(880, abs=5)
    assert got[0].timestamp > earlier[-1].timestamp


def loudness_of_the_microphone(packets: list[EncodedAudio]) -> float:
    """Against all that is heard."""
    strength = spectrum(packets)
    hum = round(1000 / 24000 * len(strength))
    return float(strength[hum - 5 : hum + 6].max() / strength.max())


async def test_a_recording_that_is_moved_to_the_microphone_does_not_stay_there(server: SoundServer) -> None:
    audio = AudioSource(pulse_server=server.address)
    await server.play(440, "speakers")
    async with listening(audio) as packets:
        _, before = await hear(packets, 0.3)
        await server.run(
            "sh", "-c", "pactl move-source-output $(pactl list short source-outputs | cut -f1) microphone"
        )
        _, after = await hear(packets, 1)
    assert loudness_of_the_microphone(before + after) < 0.02


async def test_an_output_that_goes_away_does_not_give_way_to_the_microphone(server: SoundServer) -> None:
    audio = AudioSource(pulse_server=server.address)
    await server.play(440, "speakers")
    async with listening(audio) as packets:
        _, before = await hear(packets, 0.3)
        await server.run("pactl", "unload-module", "module-null-sink")
        await until_described(audio, "the sound server has no output")
        await asyncio.sleep(0.3)
        after = sounds([packets.get_nowait() for _ in range(packets.qsize())])
    assert loudness_of_the_microphone(before + after) < 0.02


async def test_a_named_source_is_captured_as_asked(server: SoundServer) -> None:
    audio = AudioSource("microphone", server.address)
    async with listening(audio) as packets:
        frequency, _ = await hear(packets)
    assert frequency == pytest.approx(1000, abs=5)
    assert audio.description == "opus 48 kHz from microphone"


async def test_a_named_source_that_is_not_there_is_told(server: SoundServer) -> None:
    audio = AudioSource("nowhere", server.address)
    async with listening(audio):
        await until_described(audio, "the sound server has no source nowhere")


async def test_a_missing_server_is_told_and_found_once_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_SERVER", "")
    server = SoundServer(tmp_path)
    audio = AudioSource(pulse_server=server.address)
    async with listening(audio) as packets:
        await until_described(audio, f"no sound server at {server.address}")
        await server.start()
        await server.play(440, "speakers")
        assert (await hear(packets))[0] == pytest.approx(440, abs=5)
        await server.stop()
        await until_described(audio, "no sound server at")
