"""The instance manager with a real streamer, and a gateway that grants every wish."""

import asyncio
import errno
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from appliance.bus.connection import BusAddress
from appliance.bus.link import BusLink
from appliance.bus.messages import InstanceState, Role, Screen, ScreenWish, SessionStatus
from appliance.bus.peer_messages import Opened, PeerEvent, PeerReply
from appliance.bus.subjects import down, up
from appliance.config import Config
from appliance.instances.manager import InstanceManager
from tests.support.ams import NoHardware
from tests.support.gateway import nats_server, serving, until

pytestmark = pytest.mark.integration

CONFIG = Config.model_validate(
    {"application": [{"name": "pattern", "kind": "test-pattern", "autostart": True, "size": "64x64"}]}
)


class Desk:
    async def grant(self, application: str, screen: Screen, **_: Any) -> str:
        return "s1"

    async def report(self, session: str, status: SessionStatus, message: str, instance: str) -> None:
        return


async def test_a_full_disk_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with nats_server(tmp_path) as server:
        address: BusAddress = server.address
        link = BusLink(lambda: address, "test")
        manager = InstanceManager(
            "box1", lambda: CONFIG, tmp_path, tmp_path, link, lambda: address, Desk(), NoHardware()
        )
        monkeypatch.setattr("appliance.instances.autostart.write_atomic", full)
        async with serving(link, manager), asyncio.timeout(20):
            await until(lambda: "the next start of the daemon makes a new session" in caplog.text)
            assert [each.session for each in manager.instances.values()] == ["s1"]


async def test_the_log_of_an_instance_that_ends_with_the_daemon_says_so(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server:
        address: BusAddress = server.address
        link = BusLink(lambda: address, "test")
        manager = InstanceManager(
            "box1", lambda: CONFIG, tmp_path, tmp_path, link, lambda: address, Desk(), NoHardware()
        )
        async with serving(link, manager), asyncio.timeout(20):
            await until(lambda: any(each.stats for each in manager.instances.values()))
            (instance,) = manager.instances
    log = (tmp_path / "instances" / "logs" / instance / "instance.log").read_text()
    assert f" {InstanceState.STOPPED}: " in log.splitlines()[-1]


async def test_a_streamer_that_starts_anew_shows_what_a_client_made_of_the_screen(tmp_path: Path) -> None:
    wish = ScreenWish(width=48, height=96, fps=10)
    opening = PeerEvent(kind="open", peer="p-1", role=Role.CONTROL, exclusive=True, screen=wish)
    said = PeerEvent(kind="message", peer="p-1", text=json.dumps({"type": "discover"}))
    async with nats_server(tmp_path) as server:
        address: BusAddress = server.address
        link = BusLink(lambda: address, "test")
        manager = InstanceManager(
            "box1", lambda: CONFIG, tmp_path, tmp_path, link, lambda: address, Desk(), NoHardware()
        )
        async with serving(link, manager), asyncio.timeout(30):
            await until(lambda: any(each.stats for each in manager.instances.values()))
            (instance,) = manager.instances.values()
            async with link().subscribe(down("s1", "p-1"), PeerReply) as replies:
                await link().request(up("s1"), opening, Opened)
                await link().publish(up("s1"), said)
                assert json.loads((await anext(replies))[1].text)["fps"] == 10
                await until(lambda: instance.screen == Screen(width=48, height=96, fps=10))
                assert instance.stats
                assert instance.stats.pid
                os.kill(before := instance.stats.pid, signal.SIGKILL)
                await until(lambda: instance.stats is not None and instance.stats.pid != before)
            assert instance.stats.screen == Screen(width=48, height=96, fps=10)
