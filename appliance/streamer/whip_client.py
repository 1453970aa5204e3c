"""The requests of WHIP (RFC 9725), each of which blocks."""

import logging
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from appliance.bus.messages import IceServer
from appliance.errors import UnavailableError

logger = logging.getLogger(__name__)

_ANSWER_SECONDS = 10.0
_ANSWER_BYTES = 1 << 18
_REDIRECTIONS = 5
_SERVERS_MAX = 8
_LINK = re.compile(r'<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"[^"]*"|[^\s",;]*))*)')
_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s",;]*))')
_ICE_URL = re.compile(
    r"(?P<kind>stun|turns?):[^\s?:]+(?::(?P<port>[0-9]{1,5}))?(?P<transport>\?transport=(?:udp|tcp))?"
)


class Answer(NamedTuple):
    """What the server said: its description, the resource that stands for our stream, and ICE servers."""

    sdp: str
    resource: str
    ice_servers: list[IceServer]


class Resource:
    """What stands for our stream at the server, from the offer on; each call blocks."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._lock = threading.Lock()
        self._where = ""
        self._wanted = True

    def post(self, offer: str) -> Answer:
        """Raises UnavailableError. What was deleted meanwhile is deleted once it is known where it is."""
        answer = post_offer(self._url, self._token, offer)
        with self._lock:
            self._where, wanted = answer.resource, self._wanted
        if not wanted:
            self.delete()
        return answer

    def delete(self) -> None:
        """Tell the server that the stream has ended, where it had an offer."""
        with self._lock:
            self._wanted = False
            where, self._where = self._where, ""
        if where:
            delete_resource(where, self._url, self._token)


def ask_ice_servers(url: str, token: str) -> list[IceServer]:
    """What the server tells before it gets an offer (section 4.6): most need not, and say nothing."""
    headers = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "Link"}
    try:
        with _open(_request("OPTIONS", url, token, headers=headers)) as response:
            return linked(response.headers.get_all("Link", []))
    except (OSError, HTTPException) as exc:
        logger.debug("no ICE servers are told: %s", exc)
        return []


def post_offer(url: str, token: str, offer: str) -> Answer:
    """Raises UnavailableError; redirections are followed (section 4.2)."""
    home = url
    for _ in range(_REDIRECTIONS):
        try:
            with _open(_request("POST", url, _meant_for(url, home, token), offer)) as response:
                body = response.read(_ANSWER_BYTES).decode()
                location = response.headers.get("Location", "")
                if response.status != 201 or not location:
                    raise UnavailableError(f"no WHIP endpoint: it answered {response.status}")
                return Answer(body, urljoin(url, location), linked(response.headers.get_all("Link", [])))
        except urllib.error.HTTPError as exc:
            with exc:
                if exc.code not in (307, 308) or not (location := exc.headers.get("Location", "")):
                    raise UnavailableError(_refusal(exc.code)) from None
            url = urljoin(url, location)
        except (OSError, HTTPException, ValueError) as exc:
            raise UnavailableError(_reason(exc)) from exc
    raise UnavailableError(f"it redirected {_REDIRECTIONS} times")


def delete_resource(resource: str, url: str, token: str) -> None:
    """Tell the server that the stream has ended; one that is gone need not be told. `token` is for `url`."""
    try:
        with _open(_request("DELETE", resource, _meant_for(resource, url, token))):
            pass
    except (OSError, HTTPException, ValueError) as exc:
        logger.debug("the WHIP resource stays: %s", exc)


def linked(headers: Iterable[str]) -> list[IceServer]:
    """The ICE servers in `Link` headers; what is malformed, or no ICE server, is left out."""
    servers = []
    for url, rest in _LINK.findall(", ".join(headers)):
        said = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
        if said.get("rel") == "ice-server" and _is_server(url):
            user, password = said.get("username", ""), said.get("credential", "")
            servers.append(IceServer(urls=[url], username=user, password=password))
    return servers[:_SERVERS_MAX]


def _is_server(url: str) -> bool:
    if not (found := _ICE_URL.fullmatch(url)):
        return False
    return 0 < int(found["port"] or 1) < 1 << 16 and not (found["transport"] and found["kind"] == "stun")


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """A redirection must repeat the POST, and the token is for one host alone."""

    def redirect_request(self, *_: object) -> None:
        """Leave it to the caller."""
        return


def _open(request: urllib.request.Request) -> Any:
    return urllib.request.build_opener(_NoRedirection).open(request, timeout=_ANSWER_SECONDS)


def _meant_for(url: str, home: str, token: str) -> str:
    """`token`, where `url` is of the same origin as `home`."""
    return token if _origin(url) == _origin(home) else ""


def _origin(url: str) -> tuple[str, str | None, int | None]:
    split = urlsplit(url)
    return split.scheme, split.hostname, split.port or {"http": 80, "https": 443}.get(split.scheme)


def _request(
    method: str, url: str, token: str, body: str | None = None, headers: dict[str, str] | None = None
) -> urllib.request.Request:
    sent = {"Content-Type": "application/sdp"} if body else {}
    if token:
        sent["Authorization"] = f"Bearer {token}"
    data = body.encode() if body else None
    return urllib.request.Request(url, data, sent | (headers or {}), method=method)  # noqa: S310


def _reason(fault: BaseException) -> str:
    """In the words of what was wrong, where urllib only wraps it."""
    inner = fault.reason if isinstance(fault, urllib.error.URLError) else fault
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__


def _refusal(status: int) -> str:
    words = {
        401: "the token is missing or wrong",
        403: "the token may not publish there",
        404: "no such endpoint",
    }
    return f"it answered {status}" + (f": {words[status]}" if status in words else "")
