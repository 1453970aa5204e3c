"""A daemon's controller that remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.control.credentials import (
    Account,
    AccountParams,
    Accounts,
    AccountToken,
    Code,
    CodeParams,
    Devices,
    EnrolledBox,
    EnrolledBoxes,
    Key,
    KeyParams,
    Keys,
    KeySecret,
    Pin,
    Share,
    ShareParams,
    Shares,
)
from appliance.control.methods import Controller
from appliance.control.schema import (
    Audit,
    AuditParams,
    AuditRecord,
    DrainParams,
    Launched,
    LaunchParams,
    LogRecord,
    Logs,
    PublishParams,
)
from appliance.control.server import ControlServer
from appliance.control.snapshot import Box, Snapshot
from appliance.errors import NotFoundError


class ScriptedController:
    """Answers from constants; `changed` is set by the test."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.asked: list[tuple[str, Any]] = []
        self.name = "edge-7"
        self.padding = ""

    def snapshot(self) -> Snapshot:
        box = Box(id="b1", name=self.name, version="0.1.0", health="idle", uptime_s=1.0, region=self.padding)
        return Snapshot(box=box)

    def logs(self, after: int) -> Logs:
        return Logs(records=[LogRecord(seq=after + 1, time=0, level="INFO", name="x", text="y")])

    async def launch(self, params: LaunchParams) -> Launched:
        self.asked.append(("launch", params))
        return Launched(instance="i1", session="s1")

    async def stop(self, instance: str) -> None:
        self.asked.append(("stop", instance))
        if instance == "broken":
            raise ZeroDivisionError
        if instance != "i1":
            raise NotFoundError(f"no instance {instance}")

    async def kick(self, viewer: str) -> None:
        self.asked.append(("kick", viewer))

    async def keyframe(self, instance: str) -> None:
        self.asked.append(("keyframe", instance))

    async def share(self, params: ShareParams) -> Share:
        self.asked.append(("share", params))
        return Share(id="sh", url="https://box:8443/#share=t", role=params.role, expires_at=2_000_000_000)

    async def shares(self) -> Shares:
        return Shares(shares=[])

    async def unshare(self, share: str) -> None:
        self.asked.append(("unshare", share))

    async def publish(self, params: PublishParams) -> None:
        self.asked.append(("publish", params))

    async def pair(self) -> Pin:
        return Pin(pin="123456", expires_at=2_000_000_000, url="https://box:8443/")

    async def devices(self) -> Devices:
        return Devices(devices=[])

    async def unpair(self, device: str) -> None:
        self.asked.append(("unpair", device))

    async def account_create(self, params: AccountParams) -> AccountToken:
        self.asked.append(("account.create", params))
        return AccountToken(name=params.name, token="secret")

    async def account_list(self) -> Accounts:
        return Accounts(accounts=[Account(name="a", created_at=0)])

    async def account_delete(self, name: str) -> None:
        self.asked.append(("account.delete", name))

    async def enroll_create(self, params: CodeParams) -> Code:
        self.asked.append(("enroll.create", params))
        return Code(code="secret.pin", url="https://gateway:8443/", expires_at=2_000_000_000)

    async def enroll_list(self) -> EnrolledBoxes:
        box = EnrolledBox(id="b2", name="attic", key="U2", enrolled_at=0, answers=True)
        return EnrolledBoxes(boxes=[box])

    async def enroll_delete(self, name: str) -> None:
        self.asked.append(("enroll.delete", name))

    async def key_create(self, params: KeyParams) -> KeySecret:
        self.asked.append(("key.create", params))
        return KeySecret(name=params.name, access_key_id="FANL1", secret_access_key="secret")

    async def key_list(self) -> Keys:
        return Keys(keys=[Key(name="a", access_key_id="FANL1", created_at=0, policy={})])

    async def key_delete(self, name: str) -> None:
        self.asked.append(("key.delete", name))

    async def drain(self, params: DrainParams) -> None:
        self.asked.append(("drain", params))

    async def audit(self, params: AuditParams) -> Audit:
        return Audit(records=[AuditRecord(time="2026-01-01T00:00:00Z", event="join")] * params.last)


@pytest.fixture
def controller() -> ScriptedController:
    """The daemon's side."""
    return ScriptedController()


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    """Where the control socket is."""
    return tmp_path / "run" / "control.sock"


Serving = Callable[[Controller, Path], AbstractAsyncContextManager[ControlServer]]


@pytest.fixture
def serving() -> Serving:
    """`async with serving(controller, path)`: a control server that listens."""

    @asynccontextmanager
    async def serve(controller: Controller, path: Path) -> AsyncIterator[ControlServer]:
        server, started = ControlServer(controller, path), asyncio.Event()
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            task = group.create_task(server.serve(started))
            await started.wait()
            yield server
            task.cancel()

    return serve
