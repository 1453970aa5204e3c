import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator

import pytest

from appliance.gateway.doorway import Doorway, more_files

pytestmark = pytest.mark.unit


def test_one_caller_may_not_take_all_places() -> None:
    refused: list[int] = []
    doorway = Doorway(8, lambda: refused.append(1))
    assert [doorway.enter("a") for _ in range(3)] == [True, True, False]
    assert all(doorway.enter(caller) for caller in "bbccdd")
    assert not doorway.enter("e")
    assert len(refused) == 2
    doorway.leave("a")
    assert doorway.enter("e")


async def test_who_is_one_too_many_is_hung_up_on_until_another_leaves() -> None:
    doorway = Doorway(8, lambda: None)
    (listener,) = await doorway.listen("127.0.0.1", 0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"welcome")
        await reader.read()
        writer.close()
        await writer.wait_closed()

    @contextlib.asynccontextmanager
    async def visit() -> AsyncIterator[bytes]:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        try:
            yield await reader.read(7)
        finally:
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(serve, sock=listener)
    async with visit() as first:
        async with visit() as second, visit() as third:
            assert (first, second, third) == (b"welcome", b"welcome", b"")
        async with asyncio.timeout(5):
            fourth = b""
            while not fourth:
                async with visit() as fourth:
                    pass
    server.close()
    async with asyncio.timeout(5):
        while doorway.inside:
            await asyncio.sleep(0)


async def test_who_does_not_read_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.gateway.doorway.IDLE_SECONDS", 0.5)
    doorway = Doorway(8, lambda: None)
    (listener,) = await doorway.listen("127.0.0.1", 0)
    hung_up = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(16 << 20))
        try:
            await writer.drain()
        except OSError:
            hung_up.set()

    server = await asyncio.start_server(serve, sock=listener)
    with socket.create_connection(listener.getsockname()):
        async with asyncio.timeout(10):
            await hung_up.wait()
    assert not doorway.inside
    server.close()


def test_the_limit_of_files_is_raised_and_never_lowered() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        files = more_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == files > 512
        assert more_files() == files
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
