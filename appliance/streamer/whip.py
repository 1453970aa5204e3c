"""The stream handed to a server that fans it out further (an SFU), by WHIP (RFC 9725)."""

import asyncio
import logging
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from appliance.errors import InvalidInputError, UnavailableError
from appliance.signaling.anbox import Settings
from appliance.streamer.connection import MediaConnection

logger = logging.getLogger(__name__)

_ANSWER_SECONDS = 10.0
_CONNECT_SECONDS = 15.0
_RETRY_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)
_STABLE_SECONDS = 30.0
_ANSWER_BYTES = 1 << 18
_REDIRECTIONS = 5


class Answer(NamedTuple):
    """What the server said: its description, and the resource that stands for our stream."""

    sdp: str
    resource: str


class Publisher:
    """Keeps one stream at `url`, and begins again, ever more slowly, whenever it breaks.

    `connect` makes a connection that tells its states to the function it is given.
    """

    def __init__(
        self,
        url: str,
        token: str,
        settings: Settings,
        connect: Callable[[Callable[[str], None]], MediaConnection],
    ) -> None:
        self.status = "not connected yet"
        """For people."""
        self._url = url
        self._token = token
        self._settings = settings
        self._connect = connect
        self._host = urlsplit(url).hostname or url

    async def run(self) -> None:
        """Publish until cancelled."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._publish()
            except (UnavailableError, InvalidInputError) as exc:
                self._say(f"{self._host}: {exc}", logging.WARNING)
            failures = 0 if loop.time() - began > _STABLE_SECONDS else failures + 1
            await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS)) - 1])

    async def _publish(self) -> None:
        """One stream, for as long as it lasts. Raises UnavailableError, InvalidInputError."""
        connected, over = asyncio.Event(), asyncio.Event()

        def changed(state: str) -> None:
            if state == "connected":
                connected.set()
            elif state in ("failed", "closed"):
                connected.set()
                over.set()

        connection = self._connect(changed)
        resource = ""
        try:
            offer = await connection.offer(self._settings, channel=False)
            answer = await asyncio.to_thread(post_offer, self._url, self._token, offer)
            resource = answer.resource
            for candidate in await connection.take_answer(answer.sdp):
                await connection.add_candidate(candidate)
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await connected.wait()
            except TimeoutError:
                raise UnavailableError(
                    "no media could reach it: the network in between lets none through"
                ) from None
            if connection.connected:
                self._say(f"{self._host}: connected", logging.INFO)
            await over.wait()
            raise UnavailableError("the connection is gone")
        finally:
            await connection.close()
            if resource:
                await asyncio.to_thread(delete_resource, resource, self._token)

    def _say(self, status: str, level: int) -> None:
        if status != self.status:
            self.status = status
            logger.log(level, "publishing: %s", status)


def post_offer(url: str, token: str, offer: str) -> Answer:
    """Blocks. Raises UnavailableError; redirections are followed (RFC 9725 section 4.2)."""
    host = urlsplit(url).netloc
    for _ in range(_REDIRECTIONS):
        request = _request("POST", url, token if urlsplit(url).netloc == host else "", offer)
        try:
            with _open(request) as response:
                body = response.read(_ANSWER_BYTES).decode()
                location = response.headers.get("Location", "")
                if response.status != 201 or not location:
                    raise UnavailableError(f"no WHIP endpoint: it answered {response.status}")
                return Answer(body, urljoin(url, location))
        except urllib.error.HTTPError as exc:
            with exc:
                if exc.code not in (307, 308) or not (location := exc.headers.get("Location", "")):
                    raise UnavailableError(_refusal(exc.code)) from None
            url = urljoin(url, location)
        except (OSError, HTTPException, UnicodeDecodeError) as exc:
            raise UnavailableError(str(exc) or type(exc).__name__) from exc
    raise UnavailableError(f"it redirected {_REDIRECTIONS} times")


def delete_resource(resource: str, token: str) -> None:
    """Tell the server that the stream has ended. Blocks; a server that is gone need not be told."""
    try:
        with _open(_request("DELETE", resource, token)):
            pass
    except (OSError, HTTPException) as exc:
        logger.debug("the WHIP resource stays: %s", exc)


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """A redirection must repeat the POST, and the token is for one host alone."""

    def redirect_request(self, *_: object) -> None:
        """Leave it to the caller."""
        return


def _open(request: urllib.request.Request) -> Any:
    return urllib.request.build_opener(_NoRedirection).open(request, timeout=_ANSWER_SECONDS)


def _request(method: str, url: str, token: str, body: str | None = None) -> urllib.request.Request:
    headers = {"Content-Type": "application/sdp"} if body else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return urllib.request.Request(url, body.encode() if body else None, headers, method=method)  # noqa: S310


def _refusal(status: int) -> str:
    words = {
        401: "the token is missing or wrong",
        403: "the token may not publish there",
        404: "no such endpoint",
    }
    return f"it answered {status}" + (f": {words[status]}" if status in words else "")
