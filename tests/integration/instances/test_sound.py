"""Sound servers of instances' own: real ones, heard by decoding the Opus."""

import asyncio
import contextlib
import itertools
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.config import AudioSection
from appliance.instances.sound import SoundServer, is_wanted
from appliance.streamer import audio
from appliance.streamer.audio import AudioSource
from appliance.streamer.talkspurts import EncodedAudio, silence
from tests.support.ams import office, with_applications
from tests.support.sound_server import play_once, sinks

pytestmark = pytest.mark.integration

SILENCE = silence(20)
FRAME = 960
TONE_S = 0.5


@pytest.fixture(autouse=True)
def nobody_names_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SERVER", "")
    monkeypatch.setattr(audio, "_REST_SECONDS", 0.2)


class Listener:
    """A streamer's ear at a server, and what came of the sound of it."""

    def __init__(self, server: SoundServer) -> None:
        self.address = server.env["PULSE_SERVER"]
        self.source = AudioSource(pulse_server=self.address, exclusive=True)
        self.heard: list[EncodedAudio] = []

    def take(self, packet: EncodedAudio) -> None:
        if packet.data != SILENCE:
            self.heard.append(packet)

    async def until_at_rest(self) -> None:
        async with asyncio.timeout(20):
            while "SUSPENDED" not in await sinks(self.address):
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def listening(directory: Path) -> AsyncIterator[Listener]:
    server = SoundServer(directory)
    listener = Listener(server)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(server.run()), group.create_task(listener.source.run(listener.take))]
        try:
            yield listener
        finally:
            for task in tasks:
                task.cancel()
            server.close()


def server_in(directory: Path) -> int:
    """Its process."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    (found,) = [pid for pid in children if str(directory) in Path(f"/proc/{pid}/cmdline").read_text()]
    return int(found)


async def test_what_is_played_to_a_server_at_rest_is_heard_whole(tmp_path: Path) -> None:
    async with listening(tmp_path / "one") as one:
        await one.until_at_rest()
        await play_once(one.address, 440, TONE_S)
        await one.until_at_rest()
        assert len(one.heard) >= TONE_S * 48_000 / FRAME - 1
        steps = [later.timestamp - earlier.timestamp for earlier, later in itertools.pairwise(one.heard)]
        assert min(steps) == FRAME
        assert sum(step > FRAME for step in steps) <= 2, "pauses, where the player was late"


async def test_a_server_that_dies_comes_again_where_it_was(tmp_path: Path) -> None:
    async with listening(tmp_path / "one") as one:
        await one.until_at_rest()
        pid = server_in(tmp_path / "one")
        os.kill(pid, signal.SIGKILL)
        await play_once(one.address, 440, TONE_S)  # it waits for the next server
        assert server_in(tmp_path / "one") != pid
        async with asyncio.timeout(20):
            while not one.heard:
                await play_once(one.address, 440, TONE_S)


@pytest.mark.parametrize("named", [{}, {"PULSE_SERVER": "unix:/elsewhere"}])
async def test_whose_server(named: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:  # a socket's path has 107 bytes at most
        await _is_told_its_server(Path(directory), named)


async def _is_told_its_server(short: Path, named: dict[str, str]) -> None:
    out = short / "out"
    say = 'echo "$PULSE_SERVER $FANLIGHT_INSTANCE_DIR" > "$OUT.part"; mv "$OUT.part" "$OUT"; exec sleep 60'
    playing = {
        "name": "playing",
        "kind": "command",
        "command": ["sh", "-c", say],
        "env": {"OUT": str(out), **named},
        "size": "64x64",
    }
    config = with_applications(playing).model_copy(update={"audio": AudioSection()})
    async with office(short, config) as here:
        address = await here.launch("playing")
        async with asyncio.timeout(20):
            while not out.exists():
                await asyncio.sleep(0.02)
        server, directory = out.read_text().split()
        if named:
            assert server == named["PULSE_SERVER"]
        else:
            assert server == f"unix:{directory}/sound/native"
            assert "fanlight" in await sinks(server)
        await here.do("DELETE", address)
        assert not Path(directory).exists()


def test_where_a_server_is_named_or_there_is_no_program_none_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert is_wanted({})
    assert not is_wanted({"PULSE_SERVER": "unix:/a"})
    monkeypatch.setenv("PATH", "/nowhere")
    assert not is_wanted({})
