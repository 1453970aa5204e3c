"""Capture of an X server that is missing, guarded or gone."""

import asyncio
import functools
import secrets
import struct
from pathlib import Path

import pytest

from appliance.bus.spec import StreamerSpec
from appliance.errors import UnavailableError
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.capture.select import open_source
from appliance.streamer.capture.x11 import X11Source
from appliance.streamer.frames import Codec, EncodedFrame
from tests.support.x_server import Server, start_server

pytestmark = pytest.mark.integration


async def test_an_x_server_that_dies_is_named() -> None:
    started = start_server(640, 480)
    source = X11Source(started.display, codec=Codec.H264, fps=60, kbps=1000)
    begun = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run_quietly(source, begun))
        await begun.wait()
        started.process.kill()
        error = await task
    started.process.wait(10)
    assert str(error).startswith(f"display {started.display}: the X server is gone")


async def run_quietly(source: X11Source, begun: asyncio.Event) -> UnavailableError:
    with pytest.raises(UnavailableError) as caught:
        await source.run(lambda _: None, begun)
    return caught.value


async def test_a_missing_x_server_is_named() -> None:
    source = X11Source(":4711", codec=Codec.H264, fps=60, kbps=1000)
    with pytest.raises(UnavailableError, match="display :4711: no X server answers"):
        await source.run(lambda _: None, asyncio.Event())


def write_authority(file: Path, cookie: bytes, number: str) -> None:
    """One entry for any host (Xau.h: family 65535), big endian, lengths before strings."""
    fields = (b"", number.encode(), b"MIT-MAGIC-COOKIE-1", cookie)
    parts = [struct.pack(">H", len(field)) + field for field in fields]
    file.write_bytes(struct.pack(">H", 0xFFFF) + b"".join(parts))


async def test_the_authority_file_opens_a_guarded_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XAUTHORITY", "/nonexistent")
    cookie = secrets.token_bytes(16)
    authority = tmp_path / "authority"
    write_authority(authority, cookie, "")
    started = start_server(320, 240, "-auth", str(authority))
    try:
        write_authority(authority, cookie, started.display[1:])
        refused = X11Source(started.display, codec=Codec.H264, fps=60, kbps=1000)
        with pytest.raises(UnavailableError, match="refuses us"):
            await refused.run(lambda _: None, asyncio.Event())
        source = X11Source(started.display, xauthority=str(authority), codec=Codec.H264, fps=60, kbps=1000)
        frames: asyncio.Queue[EncodedFrame] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(source.run(frames.put_nowait, asyncio.Event()))
            assert (await frames.get()).keyframe
            task.cancel()
    finally:
        started.end()


async def test_a_broadcast_waits_for_a_display_that_went_away(caplog: pytest.LogCaptureFixture) -> None:
    first = start_server(320, 240)
    spec = StreamerSpec(instance="i", session=None, application="a", kind="x11", display=first.display)
    broadcast = Broadcast(functools.partial(open_source, spec, Codec.H264))
    second: Server | None = None
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(broadcast.run())
            with broadcast.subscribe() as viewer:
                assert (await viewer.next()).keyframe
                assert broadcast.problem == ""
                first.process.kill()
                first.process.wait(10)
                second = start_server(640, 480, first.display)
                async with asyncio.timeout(10):
                    while not (frame := await viewer.next()).keyframe:
                        pass
                assert f"no picture: display {first.display}: the X server is gone" in caplog.text
                assert broadcast.problem == ""
                assert broadcast.info is not None
                assert broadcast.info.width == 640
                assert frame.timestamp > 0
            task.cancel()
    finally:
        if second is not None:
            second.end()
