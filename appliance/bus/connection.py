"""The bus: typed publish, request and serve over one NATS connection that survives the server."""

import asyncio
import contextlib
import logging
import random
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import BaseModel, ValidationError

from appliance.bus.beat import until_beat
from appliance.bus.nkey import UserKey, read_credentials
from appliance.errors import (
    ConfigError,
    FanlightError,
    InvalidInputError,
    RefusedError,
    UnavailableError,
    from_code,
)

logger = logging.getLogger(__name__)

_ERROR_HEADER = "Fanlight-Error"
_CONNECT_SECONDS = 10
_PATIENCE_SECONDS = 2.0
"""How long a call waits for the server to come back before it gives up: a restart takes less."""

_USERINFO = re.compile(r"//[^/@]*@")
_NEAR_SECONDS, _FAR_SECONDS, _REFUSED_SECONDS = (0.2, 0.4), (0.3, 2.0), (2.0, 5.0)
"""How long a try to reconnect waits: a bus that many boxes share must not meet them all at once."""

_PINGS_UNANSWERED = 3
"""So many beats without an answer, and the next one takes the server for gone."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class BusAddress:
    """Where the bus is and who we are there."""

    url: str
    """Of one server, or of several of a cluster, with commas between."""
    user: str = ""
    password: str = field(default="", repr=False)
    credentials: str = ""
    """Path of a NATS credentials file, instead of user and password."""
    seed: str = field(default="", repr=False)
    """Of the NATS key that this box was enrolled with, instead of either."""
    ca: str = ""
    """Path of the CA that vouches for a `tls://` server; empty: those that the system trusts."""
    own: bool = False
    """A server of ours on loopback: its certificate need not hold for that, and is not looked at."""
    inbox: str = "_INBOX"
    """Answers come here; a confined box has one of its own."""

    @property
    def urls(self) -> list[str]:
        """Of each server."""
        return [each.strip() for each in self.url.split(",")]

    def pause(self, *, refused: bool = False) -> float:
        """Seconds to wait before the next try to reconnect, another one each time."""
        far = _REFUSED_SECONDS if refused else _FAR_SECONDS
        return random.uniform(*(far if self.seed else _NEAR_SECONDS))  # noqa: S311

    def __str__(self) -> str:
        """For people: the address without what may prove who we are."""
        return _USERINFO.sub("//", self.url)


class _Client(Client):
    """Its pings go with what is said on the beat anyway."""

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        self.options["ping_interval"] = until_beat()  # nats-py sleeps for that long after each of its own
        await super()._send_ping(future)


class Bus:
    """One connection to NATS. It reconnects for ever; calls made meanwhile raise UnavailableError.

    A server that refuses us in the middle (credentials expired, too many clients) ends it for good.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.epoch = 1
        """Raised by every reconnection: what was said before may not have been heard."""
        self._back = asyncio.Condition()
        self._closed = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether a server answers right now."""
        return self.client.is_connected

    async def ready(self, timeout_s: float = _PATIENCE_SECONDS) -> None:
        """Wait until a server answers. Raises UnavailableError."""
        try:
            async with asyncio.timeout(timeout_s), self._back:
                await self._back.wait_for(lambda: self.connected)
        except TimeoutError:
            raise UnavailableError("bus: no connection to the server") from None

    async def reconnected(self, epoch: int) -> int:
        """Wait until the connection is another one than in `epoch`; returns the new epoch."""
        async with self._back:
            await self._back.wait_for(lambda: self.epoch != epoch)
        return self.epoch

    async def refused(self) -> NoReturn:
        """Raises UnavailableError once the server has ended the connection for good."""
        await self._closed.wait()
        raise UnavailableError(f"bus: the server ended the connection: {self.client.last_error or 'unknown'}")

    async def _was_closed(self) -> None:
        self._closed.set()

    async def _came_back(self) -> None:
        logger.info("bus: connected again")
        async with self._back:
            self.epoch += 1
            self._back.notify_all()

    async def publish(self, subject: str, message: BaseModel) -> None:
        """Send `message` to whoever listens; during an outage it is kept in a small buffer, then lost."""
        try:
            with heeding_cancellation():
                await self.client.publish(subject, message.model_dump_json().encode())
        except (nats.errors.Error, OSError) as exc:
            raise UnavailableError(f"bus: {subject}: {exc or type(exc).__name__}") from exc

    async def request(self, subject: str, message: BaseModel, reply: type[M], *, timeout_s: float = 5.0) -> M:
        """Ask one listener of `subject`.

        Raises UnavailableError where nobody answers in time, or the error that the other side raised.
        """
        await self.ready()
        try:
            with heeding_cancellation():
                data = message.model_dump_json().encode()
                answer = await self.client.request(subject, data, timeout=timeout_s)
        except (nats.errors.Error, OSError) as exc:
            raise UnavailableError(f"bus: no answer on {subject}: {exc or type(exc).__name__}") from exc
        if answer.headers and _ERROR_HEADER in answer.headers:
            raise from_code(answer.headers[_ERROR_HEADER], answer.data.decode(errors="replace"))
        return _parse(answer, reply)

    async def heard(self, subject: str, message: BaseModel, *, timeout_s: float = 1.0) -> bool:
        """Send `message`, which nobody need answer; whether anybody listens. Raises UnavailableError."""
        try:
            with heeding_cancellation():
                await self.client.request(subject, message.model_dump_json().encode(), timeout=timeout_s)
        except nats.errors.NoRespondersError:
            return False
        except nats.errors.TimeoutError:
            return True
        except (nats.errors.Error, OSError) as exc:
            raise UnavailableError(f"bus: {subject}: {exc or type(exc).__name__}") from exc
        return True

    @contextlib.asynccontextmanager
    async def subscribe(
        self, subject: str, model: type[M], *, queue: str = ""
    ) -> AsyncIterator[AsyncIterator[tuple[str, M]]]:
        """Yield an endless iterator of (subject, message) in order of arrival; malformed ones are logged."""
        with heeding_cancellation():
            subscription = await self.client.subscribe(subject, queue=queue)
        try:
            yield self._messages(subscription.messages, model)
        finally:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def _messages(self, raw: AsyncIterator[Msg], model: type[M]) -> AsyncIterator[tuple[str, M]]:
        async for msg in raw:
            try:
                yield msg.subject, _parse(msg, model)
            except InvalidInputError as exc:
                logger.warning("dropped a message on %s: %s", msg.subject, exc)

    async def serve(
        self,
        subject: str,
        model: type[M],
        handler: Callable[[M], Awaitable[BaseModel]],
        *,
        queue: str = "",
        started: asyncio.Event | None = None,
        own: Callable[[M], str] | None = None,
    ) -> None:
        """Answer requests on `subject` until cancelled, several at a time; a FanlightError travels back.

        `own` is the subject that a request must have come on, by what it says of who asks.
        """
        async with asyncio.TaskGroup() as group:

            async def asked(msg: Msg) -> None:
                group.create_task(self._answer(msg, model, handler, own))

            with heeding_cancellation():
                # An iterator of nats-py's makes a task for each message, and waits for two.
                subscription = await self.client.subscribe(subject, queue=queue, cb=asked)
            try:
                with heeding_cancellation():
                    await self.client.flush()
                if started:
                    started.set()
                await self._closed.wait()
            finally:
                with contextlib.suppress(nats.errors.Error):
                    await subscription.unsubscribe()

    async def _answer(
        self,
        msg: Msg,
        model: type[M],
        handler: Callable[[M], Awaitable[BaseModel]],
        own: Callable[[M], str] | None,
    ) -> None:
        try:
            payload, headers = (await handler(_asked(msg, model, own))).model_dump_json(), None
        except FanlightError as exc:
            payload, headers = str(exc), {_ERROR_HEADER: exc.code}
        except Exception:
            logger.exception("failed to answer a request on %s", msg.subject)
            payload, headers = "internal error", {_ERROR_HEADER: FanlightError.code}
        if msg.reply:
            with contextlib.suppress(nats.errors.Error):
                await self.client.publish(msg.reply, payload.encode(), headers=headers)


@contextlib.contextmanager
def heeding_cancellation() -> Iterator[None]:
    """Raise what Python 3.11's asyncio.wait_for, and so nats-py, swallows where an answer comes just then."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


@contextlib.contextmanager
def unavailable(what: str) -> Iterator[None]:
    """Raise UnavailableError, which names `what`, for all that the bus may fail with."""
    try:
        with heeding_cancellation():
            yield
    except (nats.errors.Error, OSError, TimeoutError) as exc:
        raise UnavailableError(f"{what}: {exc or type(exc).__name__}") from exc


def _parse(msg: Msg, model: type[M]) -> M:
    try:
        return model.model_validate_json(msg.data)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise InvalidInputError(f"{model.__name__}: {where}: {first['msg']}") from exc


def _asked(msg: Msg, model: type[M], own: Callable[[M], str] | None) -> M:
    request = _parse(msg, model)
    if own and msg.subject != own(request):
        raise RefusedError(f"{msg.subject}: who asks there is somebody else")
    return request


@contextlib.asynccontextmanager
async def connect(address: BusAddress, *, name: str) -> AsyncIterator[Bus]:
    """Connect as `name`; drained and closed on leaving. Raises UnavailableError where nothing answers."""
    client = _Client()
    bus = Bus(client)

    async def lost() -> None:
        if not client.is_closed:
            logger.warning("bus: connection lost, trying again")

    last_fault: list[Exception] = []

    async def failed(exc: Exception) -> None:
        refused = "authorization violation" in str(exc).lower()
        client.options["reconnect_time_wait"] = address.pause(refused=refused)
        if client.is_connecting and client._transport:
            client._transport.close()  # nats-py forgets it where we were turned away
        # Who is turned away may see its connection reset before it has read why; another attempt knew.
        if not (last_fault and isinstance(exc, OSError)):
            last_fault[:] = [exc]
        logger.debug("bus: %s", exc)

    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await client.connect(
                address.urls,
                name=name,
                tls=await asyncio.to_thread(_trust, address),
                inbox_prefix=address.inbox,
                user=address.user or None,
                password=address.password or None,
                max_reconnect_attempts=-1,
                reconnect_time_wait=address.pause(),  # type: ignore[arg-type]
                connect_timeout=5,
                ping_interval=until_beat(),  # type: ignore[arg-type]
                max_outstanding_pings=_PINGS_UNANSWERED,
                disconnected_cb=lost,
                reconnected_cb=bus._came_back,
                closed_cb=bus._was_closed,
                error_cb=failed,
                allow_reconnect=True,
                **await asyncio.to_thread(_proof, client, address),
            )
    except (nats.errors.Error, OSError, TimeoutError) as exc:
        reason = next((str(each) for each in (*last_fault, exc) if str(each)), type(exc).__name__)
        raise UnavailableError(f"bus: {address}: {reason}") from exc
    try:
        yield bus
    finally:
        if not client.is_connected:
            client._pending, client._pending_data_size = [], 0  # closed TLS would fail on it
        with contextlib.suppress(nats.errors.Error, OSError, asyncio.CancelledError):
            await client.close()


def _trust(address: BusAddress) -> ssl.SSLContext | None:
    if not address.url.startswith("tls:"):
        return None
    logging.getLogger("asyncio").addFilter(_is_news)
    trust = authorities(address.ca)
    if address.own:
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    return trust


def authorities(file: str) -> ssl.SSLContext:
    """Trust in those of `file`, or in the system's. Raises ConfigError. Blocks for a moment."""
    try:
        return ssl.create_default_context(cafile=file or None)
    except OSError as exc:
        raise ConfigError(f"bus.ca: {file}: {exc.strerror or exc}") from exc


def _is_news(record: logging.LogRecord) -> bool:
    """asyncio warns whenever a TLS connection ends that nats-py began."""
    return "eof_received() has no effect" not in str(record.msg)


def _proof(client: Client, address: BusAddress) -> dict[str, Any]:
    """What a key proves to the server; nats-py itself would want the libraries `nkeys` and PyNaCl for it."""
    if address.credentials:
        jwt, key = read_credentials(address.credentials)
        client._auth_configured = True
        return {"signature_cb": key.sign, "user_jwt_cb": lambda: jwt}
    if address.seed:
        key = UserKey.parse(address.seed)
        client._auth_configured = True
        client._public_nkey = key.public
        return {"signature_cb": key.sign}
    return {}
