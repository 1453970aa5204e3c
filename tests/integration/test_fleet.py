"""`fanlight gateway` and the boxes that register there, as processes; any part may die."""

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from appliance.bus.connection import BusAddress
from appliance.bus.link import BusLink
from appliance.gateway.service import Gateway
from tests.support.box import box, fanlight, settings
from tests.support.fleet import AUTOSTARTED, PATTERN, client, cluster, enrol, external, gateway, remote
from tests.support.gateway import serving, until
from tests.support.gateway import settings as plain
from tests.support.viewer import FrameRow, drain, viewer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

SETTINGS = {
    "type": "settings", "api_version": 2, "data_channels": [], "enable_speaker": False,
    "enable_microphone": False, "enable_video": True, "enable_camera": False,
}  # fmt: skip


async def offered(socket: aiohttp.ClientWebSocketResponse) -> bool:
    """Whether the streamer offers to a client that just joined."""
    await socket.send_json({"type": "discover"})
    await socket.send_json(SETTINGS)
    async with asyncio.timeout(10):
        while (await socket.receive_json())["type"] != "offer":
            pass
    return True


async def test_boxes_sessions_and_streams_outlive_a_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiortc.rtcrtpreceiver.decoder_worker", drain)
    async with (
        cluster(tmp_path / "nats") as servers,
        gateway(tmp_path / "east", external(servers)) as east,
        gateway(tmp_path / "west", external(servers)) as west,
    ):
        for name in ("attic", "cellar"):
            await enrol(tmp_path / name, east, AUTOSTARTED)
        servers.write((await fanlight(west.directory, "enroll", "list", "--nats"))[1])
        token = (await west.cli("account", "create", "client"))["token"]
        async with (
            remote(tmp_path / "attic") as attic,
            remote(tmp_path / "cellar"),
            client(token, east, west) as api,
        ):

            async def both_play() -> bool:
                return sorted((await api.sessions(west.url)).values()) == ["active", "active"]

            await until(both_play, 30)
            sessions = await api.sessions(east.url)
            link = (await east.cli("share", next(iter(sessions)), "--role", "view"))["url"]
            frames: list[FrameRow] = []
            async with viewer(link, frames.append):
                os.kill(east.pid, signal.SIGKILL)
                assert await api.sessions(west.url) == sessions
                status, made = await api.call(
                    "POST", "/1.0/sessions", west.url, json={"app": "pattern", "joinable": True}
                )
                assert status == 201, made
                for session in (*sessions, made["id"]):
                    async with api.joined(session, west.url) as socket:
                        assert await offered(socket)
                before = len(frames)
                await until(lambda: len(frames) > before + 10)
            snapshot = await attic.until("s['sessions']")
            assert snapshot["box"]["urls"] == [east.url]
            assert next(each["id"] for each in snapshot["sessions"]) in sessions


async def test_a_box_enrols_streams_and_is_cut_off(tmp_path: Path) -> None:
    bus = 'listen = "127.0.0.1:0"'
    async with gateway(tmp_path / "gateway", bus, tls='mode = "auto"') as door:
        await enrol(tmp_path / "attic", door, AUTOSTARTED)
        made, file = await door.cli("enroll", "create"), str(tmp_path / "attic" / "fanlight.toml")
        code, _, said = await fanlight(
            tmp_path / "attic", "enroll", made["url"], made["code"], "--config", file
        )
        assert code == 5
        assert "box 'attic' is enrolled already; on the gateway: fanlight enroll delete attic" in said
        token = (await door.cli("account", "create", "client"))["token"]
        async with remote(tmp_path / "attic") as attic, client(token, door) as api:

            async def active() -> bool:
                return list((await api.sessions()).values()) == ["active"]

            await until(active)
            (session,) = await api.sessions()
            async with api.joined(session) as socket:
                assert await offered(socket)
            (known,) = await door.cli("enroll", "list")
            assert (known["name"], known["answers"]) == ("attic", True)
            code, _, said = await fanlight(attic.directory, "pair")
            assert (code, said) == (
                1,
                f"fanlight: this box has no door of its own: ask on the gateway {door.url}\n",
            )
            assert (await fanlight(door.directory, "drain", "--timeout", "1m"))[0] == 2
            for flag, ready in (("", 503), ("--off", 200)):
                await door.cli("drain", *flag.split())
                assert (await door.snapshot())["box"]["draining"] is (ready == 503)
                assert await api.ready() == ready
            assert list((await api.sessions()).values()) == ["active"]
            await door.cli("enroll", "delete", "attic")
            await attic.until("not s['parts'][0]['ok']")


async def test_a_gateway_waits_for_a_cluster_that_keeps_no_state_yet(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.bus.state._TIMEOUT_SECONDS", 1)
    monkeypatch.setattr("appliance.gateway.service._AGAIN_SECONDS", 0.2)
    async with cluster(tmp_path / "nats") as servers:
        for index in (1, 2):
            await servers.kill(index)
        url = servers.one(0)
        link = BusLink(lambda: BusAddress(url), "gateway", patient=True)
        config = plain(bus={"mode": "external", "url": url})
        started = asyncio.Event()
        async with serving(link), asyncio.TaskGroup() as group:
            door = group.create_task(Gateway(config, tmp_path, link).serve(started))
            await until(lambda: "trying again" in caplog.text, 20)
            assert not started.is_set()
            for index in (1, 2):
                await servers.restart(index)
            await asyncio.wait_for(started.wait(), 60)
            door.cancel()


async def test_a_box_that_is_enrolled_nowhere_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "fanlight.toml"
    file.write_text(settings(gateway='mode = "remote"'))
    code, _, said = await fanlight(tmp_path, "run", "--config", str(file))
    assert code == 2
    assert "this box is enrolled nowhere: fanlight enroll URL CODE" in said


async def test_a_box_enrols_by_itself_with_the_code_of_its_settings(tmp_path: Path) -> None:
    async with gateway(tmp_path / "gateway", 'listen = "127.0.0.1:0"', tls='mode = "auto"') as door:
        made = await door.cli("enroll", "create")
        wish = f'mode = "remote"\nurl = "{made["url"]}"\ntoken = "{made["code"]}"'
        wanted = settings(gateway=wish, box='name = "attic"') + PATTERN
        for _ in ("enrols", "is enrolled"):
            async with box(tmp_path / "attic", wanted) as attic:
                assert attic.url == door.url
                await attic.until("all(each['ok'] for each in s['parts'])")
                (known,) = await door.cli("enroll", "list")
                assert (known["name"], known["answers"]) == ("attic", True)
        file = tmp_path / "cellar.toml"
        file.write_text(wanted.replace("attic", "cellar"))
        code, out, said = await fanlight(tmp_path / "cellar", "run", "--config", str(file))
    assert (code, out) == (2, "")
    assert f"gateway.token: not enrolled at {made['url']}: the code was used already" in said
    assert made["code"] not in said
    assert "Traceback" not in said


async def test_a_gateway_whose_certificate_is_missing_says_so(tmp_path: Path) -> None:
    file = tmp_path / "fanlight.toml"
    file.write_text(settings(tls=f'mode = "files"\ncert = "{tmp_path}/cert"\nkey = "{tmp_path}/key"'))
    code, _, said = await fanlight(tmp_path, "gateway", "--config", str(file))
    assert code == 2
    assert f"tls: {tmp_path}/cert" in said
    assert "Traceback" not in said
