"""The instance manager with a real streamer, and a gateway that grants every wish."""

import asyncio
import errno
from pathlib import Path
from typing import Any

import pytest

from appliance.bus.connection import BusAddress
from appliance.bus.link import BusLink
from appliance.bus.messages import Screen, SessionStatus
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
