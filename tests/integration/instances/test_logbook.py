"""Logs of instances: what is written, how much of it, and who may read it."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.errors import NotFoundError
from appliance.instances import logbook
from appliance.instances.logbook import Logbook
from tests.support.ams import office, with_applications

pytestmark = pytest.mark.integration

TALKING = {
    "name": "talking",
    "kind": "command",
    "command": ["sh", "-c", "echo out; echo err >&2; exec sleep 60"],
    "size": "64x64",
}


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Logbook]:
    book = Logbook(tmp_path)
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(book.run())
        yield book
        writing.cancel()


async def test_lines_are_kept_with_their_time_and_in_order(book: Logbook) -> None:
    note = book.into("i1", "application.log")
    for number in range(100):
        note(f"line {number}")
    lines = (await book.read("i1", "application.log")).splitlines()
    assert [line.partition(" ")[2] for line in lines] == [f"line {number}" for number in range(100)]
    assert lines[0].startswith("20")
    await book.forget("i1")
    with pytest.raises(NotFoundError):
        await book.names("i1")


async def test_what_is_being_written_when_it_ends_is_not_lost(book: Logbook, tmp_path: Path) -> None:
    """Not even where no thread was free for it yet."""
    ending = threading.Event()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        pool.submit(ending.wait)
        book.into("i1", "a.log")("the last")
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(book.flush())
            await asyncio.sleep(0)
            writing.cancel()
        ending.set()
        await book.flush()
    assert (tmp_path / "i1" / "a.log").read_text().endswith("the last\n")


async def test_the_latest_of_all_logs_is_told_in_order(book: Logbook) -> None:
    for number in range(600):
        book.into("i1", f"{'ab'[number % 2]}.log")(f"line {number}")
        if not number % 200:
            await book.names("i1")
    lines = await book.latest("i1")
    assert len(lines) == 500
    assert {line.partition(" ")[2] for line in lines[-2:]} == {"a: line 598", "b: line 599"}


async def test_the_latest_of_one_log_alone(book: Logbook) -> None:
    for name in ("a.log", "a.log.1", "b.log"):
        book.into("i1", name)(f"in {name}")
    assert [line.partition(" ")[2] for line in await book.latest("i1", "a")] == [
        "a: in a.log",
        "a: in a.log.1",
    ]
    assert [line.partition(" ")[2] for line in await book.latest("i1", "a.log")] == ["a: in a.log"]
    with pytest.raises(NotFoundError, match="no log 'c'"):
        await book.latest("i1", "c")


async def test_a_log_has_a_limit_and_so_has_what_waits(book: Logbook, tmp_path: Path) -> None:
    note = book.into("i1", "a.log")
    for _ in range(5):
        for _ in range(10_000):
            note("x" * 200)
        await book.names("i1")
    note("the last")
    assert await book.names("i1") == ["a.log", "a.log.1"]
    assert (await book.read("i1", "a.log")).count("\n") == 2
    assert sum(file.stat().st_size for file in tmp_path.rglob("*.log*")) < 5 << 20
    assert "lines were lost here" in await book.read("i1", "a.log.1")
    assert "lines were lost here" in await book.read("i1", "a.log")


async def test_the_newest_are_kept(book: Logbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logbook, "_KEPT", 3)
    for number in range(6):
        book.into(f"i{number}", "a.log")("x")
        await book.names(f"i{number}")
        for each in (tmp_path / f"i{number}" / "a.log", tmp_path / f"i{number}"):
            os.utime(each, (number, number))  # the clock of a file system ticks every few ms
    assert sorted(each.name for each in tmp_path.iterdir()) == ["i3", "i4", "i5"]


async def test_who_runs_or_ended_last_is_kept_however_long_ago_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logbook, "_KEPT", 2)
    book = Logbook(tmp_path, running={"desktop"})
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(book.run())
        for number, name in enumerate(("desktop", "i0", "i1", "i0", "i2")):
            book.into(name, "a.log")("x")
            await book.names(name)
            os.utime(tmp_path / name / "a.log", (number, number))
            os.utime(tmp_path / name, (0, 0))
        writing.cancel()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["desktop", "i0", "i2"]


@pytest.mark.parametrize("instance", ["..", "", "i1/..", "nope"])
async def test_nothing_else_can_be_read(book: Logbook, instance: str) -> None:
    book.into("i1", "a.log")("x")
    with pytest.raises(NotFoundError):
        await book.read(instance, "a.log")
    with pytest.raises(NotFoundError):
        await book.read("i1", "../i1/a.log")


async def test_what_an_application_says_is_read_through_the_api(tmp_path: Path) -> None:
    async with office(tmp_path, with_applications(TALKING)) as here:
        address = await here.launch("talking")

        async def read(name: str) -> str:
            async with here.http.get(f"{here.base}{address}/logs/{name}", headers=here.known) as answer:
                assert answer.content_type == "text/plain" or answer.status == 404
                return await answer.text()

        async with asyncio.timeout(20):
            while not {"out", "err"} <= {
                line.rpartition(" ")[2] for line in (await read("application.log")).split("\n")
            }:
                await asyncio.sleep(0.05)
            while "runs without a session" not in await read("streamer.log"):
                await asyncio.sleep(0.05)
        assert await here.get(f"{address}/logs") == [
            f"{address}/logs/{name}.log" for name in ("application", "instance", "streamer")
        ]
        await here.do("PATCH", address, {"desired_status": "stopped"})
        assert "stopped by a client of the API" in await read("instance.log")
        await here.do("DELETE", address)
        async with here.http.get(f"{here.base}{address}/logs", headers=here.known) as answer:
            assert answer.status == 404
