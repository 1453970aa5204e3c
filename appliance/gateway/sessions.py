"""Sessions: made by a client (session first) or by an instance (stream-enabled), ended by either."""

import asyncio
import contextlib
import logging
import time

from appliance.about import about
from appliance.bus.connection import Bus
from appliance.bus.messages import (
    Done,
    InstanceState,
    LaunchReply,
    LaunchRequest,
    Message,
    Screen,
    ScreenWish,
    SessionGrant,
    SessionRequest,
    SessionState,
    SessionStatus,
    StopRequest,
)
from appliance.bus.state import Bucket
from appliance.bus.subjects import (
    QUEUE_GATEWAY,
    SESSIONS_ALL,
    STATE_ALL,
    belongs,
    id_of,
    launch,
    own_of,
    sessions,
    state,
    stop,
)
from appliance.errors import (
    ConflictError,
    FanlightError,
    LimitExceededError,
    NoCapacityError,
    NotFoundError,
    UnavailableError,
)
from appliance.gateway.registry import Registry
from appliance.gateway.tokens import made_at, new_id

logger = logging.getLogger(__name__)

NO_AGENT = "No agent can host the container"
_LAUNCH_SECONDS = 10.0
_STOP_SECONDS = 10.0
ENDED = (SessionStatus.TERMINATED, SessionStatus.ERROR)
OPEN = (SessionStatus.CREATED, SessionStatus.ACTIVE)
_APART_S = 0.002
"""What tells the channels of two sessions apart is the millisecond in which they began."""


class SessionRecord(Message):
    """A session as it is stored; times are unix times."""

    id: str
    app: str
    agent: str
    instance: str | None = None
    region: str = ""
    status: SessionStatus = SessionStatus.CREATED
    status_message: str = ""
    joinable: bool = False
    ephemeral: bool = False
    """It ends with its client, and nothing of it is kept unless it failed."""
    screen: Screen = Screen()
    channel: str | None = None
    """The ARN of the Kinesis channel whose master it shows."""
    recorded: bool = False
    """It is a storage session, which records what that master sends."""
    joined: bool = False
    """Whether that master asked for it."""
    created_at: float
    changed_at: float

    @property
    def open(self) -> bool:
        """Whether a client may come in."""
        return self.status in OPEN


class Sessions:
    """The one writer of session records; several gateway nodes share them."""

    def __init__(self, bucket: Bucket[SessionRecord], bus: Bus, registry: Registry) -> None:
        self._bucket = bucket
        self._bus = bus
        self._registry = registry
        self._stops: asyncio.Queue[tuple[SessionRecord, str]] = asyncio.Queue()
        self._newest = 0.0

    async def serve(self, started: asyncio.Event) -> None:
        """Answer instances, follow what agents say of sessions and stop what was asked to stop."""
        async with (
            self._bus.subscribe(STATE_ALL, SessionState, queue=QUEUE_GATEWAY) as news,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(
                self._bus.serve(
                    SESSIONS_ALL,
                    SessionRequest,
                    self.grant,
                    queue=QUEUE_GATEWAY,
                    started=started,
                    own=lambda request: sessions(request.agent),
                )
            )
            group.create_task(self._stop_asked(group))
            async for subject, each in news:
                if subject == state(each.session):  # the bus lets a box speak of its own sessions only
                    await self._note(each)

    async def get(self, session: str) -> SessionRecord:
        """Raises NotFoundError."""
        try:
            return await self._bucket.get(session)
        except NotFoundError:
            raise NotFoundError(f"session {session!r} does not exist") from None

    async def list(self) -> list[SessionRecord]:
        """All sessions, the oldest first, with those that ended lately."""
        return sorted([record async for _, record in self._bucket.items()], key=lambda each: each.created_at)

    async def forget(self, record: SessionRecord) -> bool:
        """Drop the record of a session that has ended; False where something changed meanwhile."""
        return await self._bucket.delete(record.id, only=record)

    async def create(self, request: LaunchRequest, region: str = "") -> SessionRecord:
        """Session first: launch on the best agent. Raises NoCapacityError where none can."""
        wanted = None if request.channel else request.application
        for agent in self._registry.candidates(wanted, region):
            record = await self._store(
                request.application,
                agent.id,
                region=agent.region,
                joinable=request.joinable,
                ephemeral=request.ephemeral,
                screen=(request.screen or ScreenWish()).of(Screen()),
                channel=request.channel,
                recorded=request.record,
            )
            try:
                with about(session=record.id):
                    return await self._launch(record, request)
            except (NoCapacityError, LimitExceededError, NotFoundError, UnavailableError) as exc:
                logger.warning("session %s: agent %s cannot host it: %s", record.id, agent.id, exc)
                await self._bucket.delete(record.id)
                if isinstance(exc, UnavailableError):  # it may have launched all the same
                    late = StopRequest(session=record.id, reason="its launch was not answered in time")
                    await self._bus.publish(stop(agent.id), late)
            except Exception:
                await self._bucket.delete(record.id)
                raise
        raise NoCapacityError(NO_AGENT)

    async def _launch(self, record: SessionRecord, request: LaunchRequest) -> SessionRecord:
        ours = request.model_copy(update={"session": record.id})
        reply = await self._bus.request(launch(record.agent), ours, LaunchReply, timeout_s=_LAUNCH_SECONDS)
        logger.info("session %s: %s launched on agent %s", record.id, record.app, record.agent)
        return await self._bucket.update(
            record.id, lambda old: old.model_copy(update={"instance": reply.instance})
        )

    async def join(self, session: str) -> None:
        """The master asks for this storage session. Raises NotFoundError."""
        await self._bucket.update(session, lambda old: old.model_copy(update={"joined": True}))

    async def grant(self, request: SessionRequest) -> SessionGrant:
        """A session for a stream-enabled instance: its earlier one where it asks for that, else a new one."""
        if request.session:
            try:
                with about(session=request.session):
                    return await self._resume(request.session, request)
            except NotFoundError:
                logger.info("session %s is gone: agent %s gets a new one", request.session, request.agent)
        record = await self._store(
            request.application,
            request.agent,
            region=request.region,
            joinable=request.joinable,
            screen=request.screen,
        )
        with about(session=record.id):
            logger.info("session %s: granted to %s of agent %s", record.id, record.app, record.agent)
        return SessionGrant(session=record.id)

    async def _resume(self, session: str, request: SessionRequest) -> SessionGrant:
        def reopen(old: SessionRecord) -> SessionRecord:
            theirs = (old.agent, old.app) == (request.agent, request.application) and belongs(
                session, request.agent
            )
            if not theirs or old.status in (SessionStatus.TERMINATING, SessionStatus.TERMINATED):
                raise NotFoundError(f"session {session} cannot be resumed by agent {request.agent}")
            return old.model_copy(
                update={"status": SessionStatus.CREATED, "status_message": "", "changed_at": time.time()}
            )

        await self._bucket.update(session, reopen)
        logger.info("session %s: resumed by agent %s", session, request.agent)
        return SessionGrant(session=session)

    async def _store(
        self,
        application: str,
        agent: str,
        *,
        region: str,
        joinable: bool,
        screen: Screen,
        ephemeral: bool = False,
        channel: str | None = None,
        recorded: bool = False,
    ) -> SessionRecord:
        now = self._newest = max(time.time(), self._newest + _APART_S)
        record = SessionRecord(
            id=id_of(agent, new_id()),
            app=application,
            agent=agent,
            region=region,
            joinable=joinable,
            ephemeral=ephemeral,
            screen=screen,
            channel=channel,
            recorded=recorded,
            created_at=now,
            changed_at=now,
        )
        await self._bucket.create(record.id, record)
        return record

    async def end(self, session: str, *, reason: str, force: bool = False, sync: bool = False) -> None:
        """Stop the instance of `session`; one that has ended is forgotten.

        Without `sync` the stop goes on in the background. Raises NotFoundError, and ConflictError where the
        agent does not answer, unless `force`d.
        """
        while (record := await self.get(session)).status in ENDED:
            if await self.forget(record):
                return
        agent_answers = self._registry.agent(record.agent) is not None
        if not (agent_answers or force):
            raise ConflictError(f"session {session}: agent {record.agent} does not answer, force it")
        await self.change(session, SessionStatus.TERMINATING, reason)
        if not agent_answers:
            await self.change(session, SessionStatus.TERMINATED, reason)
        elif sync or force:
            await self._stop(record, reason, force=force)
        else:
            self._stops.put_nowait((record, reason))

    async def _stop(self, record: SessionRecord, reason: str, *, force: bool = False) -> None:
        request = StopRequest(session=record.id, reason=reason)
        try:
            await self._bus.request(stop(record.agent), request, Done, timeout_s=_STOP_SECONDS)
        except NotFoundError:
            logger.info("session %s: its instance is gone already", record.id)
        except FanlightError:
            if not force:
                raise
        await self.change(record.id, SessionStatus.TERMINATED, reason)

    def stop_again(self, record: SessionRecord) -> None:
        """It was to end, and its instance has not heard of that."""
        self._stops.put_nowait((record, record.status_message))

    async def stop_leftover(self, agent: str, session: str) -> None:
        """Stop what `agent` announces as the instance of a session that is over, or is not there any more.

        One that is older than all records was not deleted: they were lost, and it gets its record again.
        """
        try:
            record = await self._bucket.get(session)
        except NotFoundError:
            if await self._adopted(agent, session):
                return
            request = StopRequest(session=session, reason="its session does not exist any more", anew=True)
        else:
            if record.status is not SessionStatus.TERMINATED:
                return
            request = StopRequest(session=session, reason=record.status_message)
        with about(session=session):
            logger.warning("session %s: agent %s is to stop what it still runs of it", session, agent)
        await self._bus.publish(stop(agent), request)

    async def _adopted(self, agent: str, session: str) -> bool:
        """Whether it has a record again. What shows a channel has none: its channel was lost as well."""
        born = made_at(own_of(session))
        box, told = self._registry.agent(agent), self._registry.told_of(session)
        if born is None or born >= int(self._bucket.made_at) or not (box and told):
            return False
        instance, now = told[0], time.time()
        if instance.application not in {each.name for each in box.applications}:
            return False
        record = SessionRecord(
            id=session,
            app=instance.application,
            agent=agent,
            instance=instance.id,
            region=box.region,
            status=SessionStatus.ACTIVE if instance.state is InstanceState.RUNNING else SessionStatus.CREATED,
            joinable=True,
            screen=instance.screen,
            created_at=born,
            changed_at=now,
        )
        with contextlib.suppress(ConflictError), about(session=session):
            await self._bucket.create(session, record)
            logger.warning("session %s: its record was lost, agent %s still runs it", session, agent)
        return True

    async def _stop_asked(self, group: asyncio.TaskGroup) -> None:
        while True:
            record, reason = await self._stops.get()
            with about(session=record.id):
                group.create_task(self._stop_logged(record, reason))

    async def _stop_logged(self, record: SessionRecord, reason: str) -> None:
        try:
            await self._stop(record, reason)
        except FanlightError as exc:
            logger.warning("session %s: not stopped: %s", record.id, exc)

    async def _note(self, news: SessionState) -> None:
        try:
            await self._apply(news.session, news.status, news.message, news.instance)
        except FanlightError as exc:
            logger.debug("session %s: %s not stored: %s", news.session, news.status, exc)

    async def change(self, session: str, status: SessionStatus, message: str) -> None:
        """Store what the gateway itself decided, and tell everyone who holds a socket of `session`."""
        if await self._apply(session, status, message, None):
            await self._bus.publish(
                state(session), SessionState(session=session, status=status, message=message)
            )

    async def _apply(self, session: str, status: SessionStatus, message: str, instance: str | None) -> bool:
        changed = False

        def step(old: SessionRecord) -> SessionRecord:
            nonlocal changed
            changed = may_become(old.status, status)
            if not changed:
                return old
            return old.model_copy(
                update={
                    "status": status,
                    "status_message": message,
                    "instance": instance or old.instance,
                    "changed_at": time.time(),
                }
            )

        record = await self._bucket.update(session, step)
        if changed:
            with about(session=session):
                logger.info("session %s: %s%s", session, record.status, message and f" ({message})")
        return changed


def may_become(old: SessionStatus, new: SessionStatus) -> bool:
    """`terminated` is final and `terminating` goes nowhere else; an error heals when the instance is back."""
    if old is new or old is SessionStatus.TERMINATED:
        return False
    if old is SessionStatus.TERMINATING:
        return new in ENDED
    if old is SessionStatus.ERROR:
        return new in (SessionStatus.ACTIVE, SessionStatus.CREATED)
    return new is not SessionStatus.CREATED
