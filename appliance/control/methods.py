"""What may be asked through the control socket: each method, what it takes, and who does it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from appliance.control.credentials import (
    AccountParams,
    Accounts,
    AccountToken,
    Code,
    CodeParams,
    Devices,
    EnrolledBoxes,
    KeyParams,
    Keys,
    KeySecret,
    NameParams,
    Pin,
    Share,
    ShareParams,
    Shares,
)
from appliance.control.schema import (
    Audit,
    AuditParams,
    Done,
    DrainParams,
    IdParams,
    InstanceLogs,
    InstanceLogsParams,
    Launched,
    LaunchParams,
    Logs,
    LogsParams,
    Model,
    Picture,
    PublishParams,
    Recordings,
)
from appliance.control.snapshot import Snapshot

CHANGING = frozenset(
    {
        "launch",
        "stop",
        "kick",
        "share",
        "unshare",
        "publish",
        "record.start",
        "record.stop",
        "screenshot",
        "pair",
        "unpair",
        "account.create",
        "account.delete",
        "enroll.create",
        "enroll.delete",
        "key.create",
        "key.delete",
        "drain",
    }
)
"""Methods that the audit trail keeps."""


class Controller(Protocol):
    """What the daemon does for its control clients. Methods raise FanlightError leaves."""

    @property
    def changed(self) -> asyncio.Event:
        """Set by the daemon when the snapshot differs; cleared by the server."""

    def snapshot(self) -> Snapshot:
        """The whole state, from memory: it must be told even while the bus is away."""

    def logs(self, after: int) -> Logs:
        """Records after sequence number `after`."""

    async def launch(self, params: LaunchParams) -> Launched:
        """Start an application."""

    async def stop(self, instance: str) -> None:
        """Stop an instance."""

    async def instance_logs(self, instance: str, name: str) -> InstanceLogs:
        """What an instance said lately, also one that has ended; in the log `name`, or in all."""

    async def recordings(self) -> Recordings:
        """What was recorded on this box."""

    async def kick(self, viewer: str) -> None:
        """Disconnect a viewer."""

    async def keyframe(self, instance: str) -> None:
        """Ask an instance's encoder for a keyframe."""

    async def share(self, params: ShareParams) -> Share:
        """Make a link."""

    async def shares(self) -> Shares:
        """List the shares that still hold."""

    async def unshare(self, share: str) -> None:
        """Revoke a share and end whoever came in by it."""

    async def publish(self, params: PublishParams) -> None:
        """Publish an instance somewhere else as well, or nowhere."""

    async def record_start(self, instance: str) -> None:
        """Record an instance from now on."""

    async def record_stop(self, instance: str) -> Recordings:
        """Record it no more, and tell the files since it was."""

    async def screenshot(self, instance: str) -> Picture:
        """What an instance shows now."""

    async def pair(self) -> Pin:
        """Make a PIN."""

    async def devices(self) -> Devices:
        """List the paired browsers."""

    async def unpair(self, device: str) -> None:
        """Forget a paired browser."""

    async def account_create(self, params: AccountParams) -> AccountToken:
        """Make an API account."""

    async def account_list(self) -> Accounts:
        """List the API accounts."""

    async def account_delete(self, name: str) -> None:
        """Delete an API account."""

    async def enroll_create(self, params: CodeParams) -> Code:
        """Make a code that enrols a box."""

    async def enroll_list(self) -> EnrolledBoxes:
        """List the enrolled boxes."""

    async def enroll_delete(self, name: str) -> None:
        """Revoke a box."""

    async def key_create(self, params: KeyParams) -> KeySecret:
        """Make an access key."""

    async def key_list(self) -> Keys:
        """List the access keys."""

    async def key_delete(self, name: str) -> None:
        """Delete an access key."""

    async def drain(self, params: DrainParams) -> None:
        """Take nobody new, or everybody again."""

    async def audit(self, params: AuditParams) -> Audit:
        """The newest of the audit trail."""


def methods(
    controller: Controller,
) -> dict[str, tuple[type[Model], Callable[[Any], Awaitable[Model | Done | Picture]]]]:
    """The whole API: what each method takes, and what it does."""

    async def snapshot(_: Model) -> Snapshot:
        return controller.snapshot()

    async def logs(params: LogsParams) -> Logs:
        return controller.logs(params.after)

    async def stop(params: IdParams) -> Done:
        await controller.stop(params.id)
        return Done()

    async def instance_logs(params: InstanceLogsParams) -> InstanceLogs:
        return await controller.instance_logs(params.id, params.name)

    async def recordings(_: Model) -> Recordings:
        return await controller.recordings()

    async def kick(params: IdParams) -> Done:
        await controller.kick(params.id)
        return Done()

    async def keyframe(params: IdParams) -> Done:
        await controller.keyframe(params.id)
        return Done()

    async def shares(_: Model) -> Shares:
        return await controller.shares()

    async def unshare(params: IdParams) -> Done:
        await controller.unshare(params.id)
        return Done()

    async def publish(params: PublishParams) -> Done:
        await controller.publish(params)
        return Done()

    async def record_start(params: IdParams) -> Done:
        await controller.record_start(params.id)
        return Done()

    async def record_stop(params: IdParams) -> Recordings:
        return await controller.record_stop(params.id)

    async def screenshot(params: IdParams) -> Picture:
        return await controller.screenshot(params.id)

    async def pair(_: Model) -> Pin:
        return await controller.pair()

    async def devices(_: Model) -> Devices:
        return await controller.devices()

    async def unpair(params: IdParams) -> Done:
        await controller.unpair(params.id)
        return Done()

    async def account_list(_: Model) -> Accounts:
        return await controller.account_list()

    async def account_delete(params: NameParams) -> Done:
        await controller.account_delete(params.name)
        return Done()

    async def enroll_list(_: Model) -> EnrolledBoxes:
        return await controller.enroll_list()

    async def enroll_delete(params: NameParams) -> Done:
        await controller.enroll_delete(params.name)
        return Done()

    async def key_list(_: Model) -> Keys:
        return await controller.key_list()

    async def key_delete(params: NameParams) -> Done:
        await controller.key_delete(params.name)
        return Done()

    async def drain(params: DrainParams) -> Done:
        await controller.drain(params)
        return Done()

    return {
        "snapshot": (Model, snapshot),
        "watch": (Model, snapshot),
        "logs": (LogsParams, logs),
        "launch": (LaunchParams, controller.launch),
        "stop": (IdParams, stop),
        "instance.logs": (InstanceLogsParams, instance_logs),
        "recordings": (Model, recordings),
        "kick": (IdParams, kick),
        "keyframe": (IdParams, keyframe),
        "share": (ShareParams, controller.share),
        "shares": (Model, shares),
        "unshare": (IdParams, unshare),
        "publish": (PublishParams, publish),
        "record.start": (IdParams, record_start),
        "record.stop": (IdParams, record_stop),
        "screenshot": (IdParams, screenshot),
        "pair": (Model, pair),
        "devices": (Model, devices),
        "unpair": (IdParams, unpair),
        "account.create": (AccountParams, controller.account_create),
        "account.list": (Model, account_list),
        "account.delete": (NameParams, account_delete),
        "enroll.create": (CodeParams, controller.enroll_create),
        "enroll.list": (Model, enroll_list),
        "enroll.delete": (NameParams, enroll_delete),
        "key.create": (KeyParams, controller.key_create),
        "key.list": (Model, key_list),
        "key.delete": (NameParams, key_delete),
        "drain": (DrainParams, drain),
        "audit": (AuditParams, controller.audit),
    }
