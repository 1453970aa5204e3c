"""A daemon's control socket with a scripted box behind it, and the command line in this process."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    Role,
    Share,
    ShareParams,
    Shares,
    ShareShown,
)
from appliance.control.schema import (
    Audit,
    AuditParams,
    AuditRecord,
    DrainParams,
    InstanceLogs,
    Launched,
    LaunchParams,
    Logs,
    Picture,
    PublishParams,
    Recording,
    Recordings,
)
from appliance.control.snapshot import (
    Application,
    Box,
    Instance,
    InstanceState,
    InstanceStats,
    Problem,
    Snapshot,
    ViewerStats,
)
from appliance.errors import ConflictError, NotFoundError, RefusedError

Fanlight = Callable[..., tuple[int, str, str]]


def tape_of(file: Path) -> Recording:
    return Recording(
        name="desktop",
        kind="applications",
        file=str(file),
        began=0,
        length_s=90,
        size=1_500_000,
        running=False,
    )


class House:
    """A daemon's controller with one desktop and one viewer."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.asked: list[Any] = []
        self.viewers = [ViewerStats(id="v1", label="Pixel phone")]
        self.published = ""
        self.links = [
            ShareShown(
                id="sh",
                session="s1",
                application="desktop",
                role=Role.VIEW,
                description="for\n\x1b[2Jyou",
                created_at=0,
                expires_at=2_000_000_000,
            )
        ]
        self.elsewhere = ""
        self.interrupts = False
        self.kept = Path("/kept/a.mkv")
        self.picture = Picture(codec="H264", data="")

    def snapshot(self) -> Snapshot:
        stats = InstanceStats(
            instance="i1",
            source="X11 :99 1920x1080",
            encoder="x264",
            encoder_reason="no GPU",
            software_fallback=True,
            published=self.published,
            viewers=self.viewers,
        )
        return Snapshot(
            box=Box(
                id="b",
                name="edge-7",
                version="0.1.0",
                health="degraded",
                region="berlin",
                location="second floor",
                uptime_s=3700,
                urls=["https://x:8443/"],
            ),
            problems=[Problem(severity="error", what="it burns", fix="pour water")],
            applications=[Application(name="desktop", kind="desktop")],
            instances=[
                Instance(
                    id="i1",
                    application="desktop",
                    state=InstanceState.RUNNING,
                    box=self.elsewhere,
                    why="no display on this machine: our own",
                    stats=stats,
                )
            ],
        )

    def logs(self, after: int) -> Logs:
        return Logs(records=[])

    async def launch(self, params: LaunchParams) -> Launched:
        self.asked.append(params)
        return Launched(instance="i2", session="s2")

    async def instance_logs(self, instance: str, name: str) -> InstanceLogs:
        self.asked.append(name)
        if instance != "i1":
            raise NotFoundError(f"no instance {instance}")
        return InstanceLogs(
            instance=instance, lines=["1 instance: running", "2 application: \x1b]0;he\x07llo"]
        )

    async def stop(self, instance: str) -> None:
        if instance != "i1":
            raise NotFoundError(f"no instance {instance}")

    async def kick(self, viewer: str) -> None:
        raise RefusedError("not this one")

    async def keyframe(self, instance: str) -> None:
        self.asked.append(instance)

    async def share(self, params: ShareParams) -> Share:
        self.asked.append(params)
        return Share(id="sh", url="https://x:8443/#share=t", role=params.role, expires_at=2_000_000_000)

    async def shares(self) -> Shares:
        return Shares(shares=self.links)

    async def unshare(self, share: str) -> None:
        if share not in [each.id for each in self.links]:
            raise NotFoundError(f"no share {share}")
        self.links = []

    async def publish(self, params: PublishParams) -> None:
        self.asked.append(params)

    async def pair(self) -> Pin:
        return Pin(pin="123456", expires_at=2_000_000_000, url="https://x:8443/")

    async def devices(self) -> Devices:
        return Devices(devices=[])

    async def unpair(self, device: str) -> None:
        return

    async def account_create(self, params: AccountParams) -> AccountToken:
        self.asked.append(params)
        return AccountToken(name=params.name, token="tok-1")

    async def account_list(self) -> Accounts:
        return Accounts(accounts=[Account(name="ci", created_at=0)])

    async def account_delete(self, name: str) -> None:
        self.asked.append(name)

    async def enroll_create(self, params: CodeParams) -> Code:
        self.asked.append(params)
        return Code(code="secret.pin", url="https://gateway:8443/", expires_at=2_000_000_000)

    async def enroll_list(self) -> EnrolledBoxes:
        key = "U" + "A" * 55
        return EnrolledBoxes(boxes=[EnrolledBox(id="b2", name="attic", key=key, enrolled_at=0, answers=True)])

    async def enroll_delete(self, name: str) -> None:
        self.asked.append(name)

    async def key_create(self, params: KeyParams) -> KeySecret:
        self.asked.append(params)
        return KeySecret(name=params.name, access_key_id="FANL1", secret_access_key="s3cret")

    async def key_list(self) -> Keys:
        policy = {"Statement": [{"Effect": "Allow", "Action": ["kinesisvideo:*"], "Resource": ["lobby-*"]}]}
        return Keys(keys=[Key(name="cam", access_key_id="FANL1", created_at=0, policy=policy)])

    async def key_delete(self, name: str) -> None:
        self.asked.append(name)

    async def record_start(self, instance: str) -> None:
        self.asked.append(("start", instance))
        if self.interrupts:
            os.kill(os.getpid(), signal.SIGINT)

    async def record_stop(self, instance: str) -> Recordings:
        if ("start", instance) not in self.asked:
            raise ConflictError(f"{instance} is not recorded")
        self.asked.append(("stop", instance))
        return Recordings(directory=str(self.kept.parent), recordings=[tape_of(self.kept)])

    async def screenshot(self, instance: str) -> Picture:
        if instance != "i1":
            raise NotFoundError(f"no instance {instance}")
        return self.picture

    async def recordings(self) -> Recordings:
        return Recordings(directory="/kept", recordings=[tape_of(Path("/kept/a.mkv"))])

    async def drain(self, params: DrainParams) -> None:
        self.asked.append(params)
        if params.timeout_s:
            self.viewers = []
            self.changed.set()

    async def audit(self, params: AuditParams) -> Audit:
        record = AuditRecord(
            time="2026-01-02T03:04:05.678+00:00", event="join", by="Pixel", address="192.0.2.7"
        )
        return Audit(records=[record] * min(params.last, 2))
