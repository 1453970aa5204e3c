"""Who may come in, and who came, as control clients see it."""

import asyncio
import contextlib
import logging
from pathlib import Path

from appliance import audit
from appliance.bus.beat import until_beat
from appliance.control.credentials import (
    Account,
    AccountParams,
    Accounts,
    AccountToken,
    Code,
    CodeParams,
    Device,
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
    ShareShown,
)
from appliance.control.schema import Audit, AuditParams
from appliance.control.snapshot import Application, Session
from appliance.errors import FanlightError, UnavailableError
from appliance.gateway.kinesis.policies import EVERYTHING, Policy
from appliance.gateway.service import Gateway

logger = logging.getLogger(__name__)

_SESSIONS_SECONDS, _UNASKED_SECONDS = 1.0, 6.0


class Doorkeeper:
    """What of the control API the gateway answers; where that is not here, its address is `elsewhere`."""

    def __init__(self, gateway: Gateway | None, state_dir: Path, elsewhere: str = "") -> None:
        self._gateway = gateway
        self._state_dir = state_dir
        self._elsewhere = elsewhere
        self._sessions: list[Session] = []
        self._changed = asyncio.Event()
        self._asked = asyncio.Event()

    @property
    def changed(self) -> asyncio.Event:
        """Set when the snapshot differs."""
        return self._changed

    async def serve(self, started: asyncio.Event) -> None:
        """Keep the list of sessions at hand, so that a snapshot needs no bus."""
        loop = asyncio.get_running_loop()
        started.set()
        while True:
            try:
                sessions = await self._look()
            except FanlightError as exc:
                logger.debug("sessions not known: %s", exc)
            else:
                if sessions != self._sessions:
                    self._sessions = sessions
                    self._changed.set()
            self._asked.clear()
            soonest = loop.time() + _SESSIONS_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until_beat(_UNASKED_SECONDS)):
                    await self._asked.wait()
            await asyncio.sleep(soonest - loop.time())

    def known_sessions(self) -> list[Session]:
        """The sessions as they were at the last look, which comes soon again."""
        self._asked.set()
        return self._sessions

    @property
    def _door(self) -> Gateway:
        if self._gateway is None:
            where = f": ask on the gateway {self._elsewhere}" if self._elsewhere else " (see [gateway] mode)"
            raise UnavailableError(f"this box has no door of its own{where}")
        return self._gateway

    def cameras(self) -> list[Application]:
        """Channels that can be shown beside applications: their masters are there."""
        found = self._gateway.cameras() if self._gateway else []
        return [Application(name=each.name, kind="channel", viewers=each.viewers) for each in found]

    def urls(self) -> list[str]:
        """All addresses of the viewer page, the best one first; none where nobody can watch."""
        if self._gateway:
            return self._gateway.urls()
        return [self._elsewhere] if self._elsewhere else []

    @property
    def fingerprint(self) -> str:
        """SHA-256 of our certificate; empty without one."""
        return self._gateway.fingerprint if self._gateway else ""

    async def _look(self) -> list[Session]:
        return [
            Session(
                id=each.id,
                application=each.app,
                status=each.status,
                message=each.status_message,
                instance=each.instance,
                viewers=self._viewers(each.id),
            )
            for each in await self._door.sessions()
        ]

    def _viewers(self, session: str) -> int:
        return self._door.viewers_of(session)

    async def share_session(self, door: Gateway, session: str, params: ShareParams) -> Share:
        """A link into `session`."""
        made = await door.share(session, params.role, params.expires_s)
        return Share(id=made.id, url=made.url, role=params.role, expires_at=made.expires_at)

    async def shares(self) -> Shares:
        """The shares that still hold."""
        applications = {each.id: each.app for each in await self._door.sessions()}
        return Shares(
            shares=[
                ShareShown(
                    id=each.id,
                    session=each.session,
                    application=applications.get(each.session, ""),
                    role=each.role,
                    description=each.description,
                    created_at=each.created_at,
                    expires_at=each.expires_at,
                )
                for each in await self._door.shares()
            ]
        )

    async def unshare(self, share: str) -> None:
        """Revoke a share and end whoever came in by it."""
        await self._door.unshare(share)

    async def pair(self) -> Pin:
        """A new PIN."""
        pin, expires_at = await self._door.new_pin()
        return Pin(pin=pin, expires_at=expires_at, url=self._door.url)

    async def devices(self) -> Devices:
        """The paired browsers."""
        return Devices(
            devices=[
                Device(
                    id=each.id,
                    name=each.name,
                    role=each.role,
                    paired_at=each.paired_at,
                    last_seen=each.last_seen,
                )
                for each in await self._door.devices()
            ]
        )

    async def unpair(self, device: str) -> None:
        """Forget a paired browser and end what it watches."""
        await self._door.unpair(device)

    async def account_create(self, params: AccountParams) -> AccountToken:
        """An API account with a new token."""
        token = await self._door.create_account(params.name, params.expires_s)
        return AccountToken(name=params.name, token=token)

    async def account_list(self) -> Accounts:
        """The API accounts."""
        return Accounts(
            accounts=[
                Account(name=each.name, created_at=each.created_at, expires_at=each.expires_at)
                for each in await self._door.accounts()
            ]
        )

    async def account_delete(self, name: str) -> None:
        """Delete an API account; its token is void at once."""
        await self._door.delete_account(name)

    async def enroll_create(self, params: CodeParams) -> Code:
        """A code that enrols one box."""
        code, expires_at = await self._door.create_code(params.name)
        return Code(code=code, url=self._door.url, expires_at=expires_at)

    async def enroll_list(self) -> EnrolledBoxes:
        """The enrolled boxes."""
        answering = {each.id for each in self._door.agents()}
        return EnrolledBoxes(
            boxes=[
                EnrolledBox(
                    id=each.id,
                    name=each.name,
                    key=each.key,
                    enrolled_at=each.enrolled_at,
                    answers=each.id in answering,
                )
                for each in await self._door.boxes()
            ]
        )

    async def enroll_delete(self, name: str) -> None:
        """Revoke a box; the bus cuts it off."""
        await self._door.delete_box(name)

    async def key_create(self, params: KeyParams) -> KeySecret:
        """An access key of the Kinesis dialect. Raises InvalidInputError for a bad policy."""
        policy = EVERYTHING if params.policy is None else Policy.read(params.policy)
        made = await self._door.create_key(params.name, policy)
        return KeySecret(
            name=made.name, access_key_id=made.access_key_id, secret_access_key=made.secret_access_key
        )

    async def key_list(self) -> Keys:
        """The access keys."""
        return Keys(
            keys=[
                Key(
                    name=each.name,
                    access_key_id=each.access_key_id,
                    created_at=each.created_at,
                    policy=each.policy.model_dump(exclude_defaults=True),
                )
                for each in await self._door.keys()
            ]
        )

    async def key_delete(self, name: str) -> None:
        """Delete an access key; what it signs is void at once."""
        await self._door.delete_key(name)

    async def audit(self, params: AuditParams) -> Audit:
        """The newest of the audit trail."""
        return Audit(records=await asyncio.to_thread(audit.read, self._state_dir, params.last))
