"""One-time codes: good once, for a while, at the gateway that made them; what is refused says why."""

import asyncio
import contextlib
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.agent import enrolment
from appliance.bus.connection import connect
from appliance.bus.link import BusLink
from appliance.bus.server import EmbeddedServer, Listen
from appliance.config import GatewaySection
from appliance.errors import (
    ConfigError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    RefusedError,
    UnauthorizedError,
    UnavailableError,
)
from appliance.gateway.enrolments import BoxRecord
from appliance.gateway.service import Gateway
from appliance.gateway.tokens import digest
from tests.support.gateway import serving, settings, until

pytestmark = pytest.mark.integration

BOX = "b0b0b0b0b0b0b0b0"


@contextlib.asynccontextmanager
async def gateway(directory: Path) -> AsyncIterator[Gateway]:
    """With TLS, and a bus that listens for boxes."""
    server = EmbeddedServer(directory, Listen("127.0.0.1", 0))
    link = BusLink(lambda: server.address, "gateway")
    config = settings(tls={"mode": "auto"}, bus={"listen": "127.0.0.1:4222"})
    running = Gateway(config, directory, link, server)
    async with serving(server, link, running):
        yield running


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path / "gateway") as running:
        yield running


async def enrol(
    state: Path, door: Gateway, code: str, box: str = BOX, name: str = "attic"
) -> enrolment.Enrolment:
    state.mkdir(exist_ok=True)
    return await enrolment.enroll(state, door.url, code, box=box, name=name)


async def test_a_box_gets_what_it_needs_and_keeps_it_to_itself(door: Gateway, tmp_path: Path) -> None:
    code, _ = await door.create_code("")
    made = await enrol(tmp_path / "box", door, code)
    assert enrolment.load(tmp_path / "box", GatewaySection()) == made
    assert (made.name, made.gateway) == ("attic", door.url)
    for file in (tmp_path / "box" / "remote").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert made.seed not in repr(made)
    async with connect(made.address(tmp_path / "box", BOX), name="box") as bus:
        assert bus.connected
    assert [(each.id, each.name) for each in await door.boxes()] == [(BOX, "attic")]


async def test_no_code_is_taken_for_an_option(door: Gateway) -> None:
    assert not [code for _ in range(200) if (code := (await door.create_code(""))[0]).startswith("-")]


async def test_a_code_may_name_the_box(door: Gateway, tmp_path: Path) -> None:
    code, _ = await door.create_code("cellar")
    assert (await enrol(tmp_path / "box", door, code)).name == "cellar"


async def test_a_used_code_is_refused(door: Gateway, tmp_path: Path) -> None:
    code, _ = await door.create_code("")
    await enrol(tmp_path / "one", door, code)
    with pytest.raises(
        UnauthorizedError, match="was used already: make a new one with `fanlight enroll create`"
    ):
        await enrol(tmp_path / "two", door, code, box="c0c0c0c0c0c0c0c0", name="cellar")
    assert len(await door.boxes()) == 1
    with pytest.raises(ConfigError, match="enrolled nowhere"):
        enrolment.load(tmp_path / "two", GatewaySection(url=door.url))


@pytest.mark.parametrize(("part", "step"), [("_boxes", "create"), ("door", "admit")])
async def test_a_gateway_that_fails_over_an_enrolment_completes_it_when_asked_again(
    door: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, step: str
) -> None:
    async def away(*_: object) -> None:
        raise UnavailableError("the bus is away")

    code, _ = await door.create_code("")
    with monkeypatch.context() as broken:
        broken.setattr(getattr(door._context.enrolments, part), step, away)
        with pytest.raises(UnavailableError, match="the bus is away"):
            await enrol(tmp_path / "box", door, code)
    made = await enrol(tmp_path / "box", door, code)
    assert [(each.id, each.name) for each in await door.boxes()] == [(BOX, "attic")]
    async with connect(made.address(tmp_path / "box", BOX), name="box") as bus:
        assert bus.connected


async def unanswered(state: Path, door: Gateway, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enrol, and lose the answer."""

    def lose(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(enrolment, "_keep", lose)
        with pytest.raises(OSError, match="disk is full"):
            await enrol(state, door, code)


async def test_a_box_that_lost_the_answer_gets_it_again_also_late(
    door: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _ = await door.create_code("")
    await unanswered(tmp_path / "box", door, code, monkeypatch)
    with pytest.raises(UnauthorizedError, match="used already"):
        await enrol(tmp_path / "thief", door, code)
    late = {"expires_at": time.time() - 1}
    known = digest(code.partition(".")[0])
    await door._context.enrolments._codes.update(known, lambda old: old.model_copy(update=late))
    made = await enrol(tmp_path / "box", door, code)
    async with connect(made.address(tmp_path / "box", BOX), name="box") as bus:
        assert bus.connected
    with pytest.raises(UnauthorizedError, match="used already"):
        await enrol(tmp_path / "box", door, code)


async def test_a_revoked_box_does_not_come_back_with_its_code(
    door: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _ = await door.create_code("")
    await unanswered(tmp_path / "box", door, code, monkeypatch)
    await door.delete_box("attic")
    with pytest.raises(UnauthorizedError, match="used already"):
        await enrol(tmp_path / "box", door, code)
    assert await door.boxes() == []


async def test_an_expired_code_is_refused(
    door: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.enrolments.CODE_SECONDS", 0)
    code, _ = await door.create_code("")
    with pytest.raises(UnauthorizedError, match="the code has expired"):
        await enrol(tmp_path / "box", door, code)


async def test_a_wrong_code_is_refused(door: Gateway, tmp_path: Path) -> None:
    code, _ = await door.create_code("")
    guessed = "A" + code[1:] if code[0] != "A" else "B" + code[1:]
    with pytest.raises(UnauthorizedError, match="not known here"):
        await enrol(tmp_path / "box", door, guessed)


@pytest.mark.parametrize("code", ["", "secret", "secret.short", "secret.!", ".", "é.é"])
async def test_half_a_code_is_no_code(door: Gateway, tmp_path: Path, code: str) -> None:
    with pytest.raises(InvalidInputError, match="not a whole one"):
        await enrol(tmp_path / "box", door, code)


async def test_another_gateway_is_not_believed(door: Gateway, tmp_path: Path) -> None:
    code, _ = await door.create_code("")
    async with gateway(tmp_path / "impostor") as impostor:
        with pytest.raises(RefusedError, match="another certificate"):
            await enrol(tmp_path / "box", impostor, code)
    await enrol(tmp_path / "box", door, code)


async def test_where_nobody_answers_it_says_so(door: Gateway, tmp_path: Path) -> None:
    code, _ = await door.create_code("")
    with pytest.raises(UnavailableError, match="no gateway answers there"):
        await enrolment.enroll(tmp_path, "https://127.0.0.1:9/", code, box=BOX, name="attic")


async def test_a_box_or_a_name_is_there_once(door: Gateway, tmp_path: Path) -> None:
    await enrol(tmp_path / "box", door, (await door.create_code(""))[0])
    with pytest.raises(ConflictError, match="'attic' is enrolled already"):
        await door.create_code("attic")
    code, _ = await door.create_code("")
    with pytest.raises(RefusedError, match="fanlight enroll delete attic"):
        await enrol(tmp_path / "box", door, code, name="other")
    await door.delete_box("attic")
    assert (await enrol(tmp_path / "box", door, code)).name == "attic"


async def test_a_deleted_box_is_cut_off(
    door: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.bus.connection._CONNECT_SECONDS", 1)
    made = await enrol(tmp_path / "box", door, (await door.create_code(""))[0])
    await door.delete_box("attic")
    with pytest.raises(NotFoundError):
        await door.delete_box("attic")

    async def turned_away() -> bool:
        with pytest.raises(UnavailableError) as refused:
            async with connect(made.address(tmp_path / "box", BOX), name="box"):
                pass
        return "Authorization" in str(refused.value)

    await until(turned_away)


async def test_an_older_list_of_boxes_does_not_come_after_a_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.enrolments._LOOK_SECONDS", 60)
    async with gateway(tmp_path / "gateway") as door, asyncio.TaskGroup() as group:
        enrolments, read = door._context.enrolments, asyncio.Event()
        code, _ = await door.create_code("")
        looked = enrolments.list

        async def slowly() -> list[BoxRecord]:
            found = await looked()
            if not read.is_set():
                read.set()
                await asyncio.sleep(0.3)
            return found

        monkeypatch.setattr(enrolments, "list", slowly)
        older = group.create_task(enrolments._admit())
        await read.wait()
        made = await enrol(tmp_path / "box", door, code)
        await older
        async with connect(made.address(tmp_path / "box", BOX), name="box") as bus:
            assert bus.connected


async def test_a_bus_that_no_box_reaches_takes_no_boxes(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    link = BusLink(lambda: server.address, "gateway")
    running = Gateway(settings(), tmp_path, link, server)
    async with serving(server, link, running):
        with pytest.raises(ConflictError, match=r"set bus\.listen"):
            await running.create_code("")
