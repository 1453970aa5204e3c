"""The files of the viewer page, read once and kept in memory with their compressed form."""

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import hdrs, web

from appliance.errors import NotFoundError
from appliance.gateway.app import Handler, public
from appliance.gateway.operations import answers, fails

WEB_ROOT = Path(__file__).parent / "web"
_INDEX = "index.html"
_ANYTHING_ELSE = r"/{name:(?!1\.0/|fanlight/).+}"
_COMPRESSED_TYPES = ("text/", "application/json", "image/svg+xml")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]+")
_TYPES = {".js": "text/javascript", ".webmanifest": "application/manifest+json", ".woff2": "font/woff2"}


@dataclass(frozen=True, slots=True)
class _File:
    plain: bytes
    packed: bytes | None
    etag: str
    content_type: str


class StaticFiles:
    """Serves `root` at `/`; who opens a WebSocket there gets to `socket`, where there is one."""

    def __init__(self, socket: Handler | None = None, root: Path = WEB_ROOT) -> None:
        self._socket = socket
        self._files = {
            path.relative_to(root).as_posix(): _load(path)
            for path in sorted(root.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        }
        modules = [name for name in self._files if name.endswith(".js")]
        self._preload = ", ".join(f"</{name}>; rel=modulepreload" for name in modules)

    def routes(self) -> list[web.RouteDef]:
        """The page and everything it loads; to be added last."""
        return [web.get("/", self.index), web.get(_ANYTHING_ELSE, self.file)]

    @public
    @answers(200, Any, "none", media="text/html")
    @answers(304, envelope="none")
    async def index(self, request: web.Request) -> web.StreamResponse:
        """The viewer page, with word of all its modules: found one by one, they take a round trip a level."""
        if self._socket and request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
            return await self._socket(request)
        response = self._answer(request, _INDEX)
        response.headers[hdrs.LINK] = self._preload
        return response

    @public
    @answers(200, Any, "none", media="*/*")
    @answers(304, envelope="none")
    @fails(404)
    async def file(self, request: web.Request) -> web.Response:
        """A file of the viewer page."""
        return self._answer(request, request.match_info["name"])

    def _answer(self, request: web.Request, name: str) -> web.Response:
        found = self._files.get(name)
        if found is None:
            raise NotFoundError(f"there is no {request.path}")
        headers = _security(request) | {
            hdrs.ETAG: found.etag,
            hdrs.CACHE_CONTROL: "no-cache",
            hdrs.VARY: hdrs.ACCEPT_ENCODING,
        }
        if found.etag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
            return web.Response(status=304, headers=headers)
        headers[hdrs.CONTENT_TYPE] = found.content_type
        if found.packed and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            headers[hdrs.CONTENT_ENCODING] = "gzip"
            return web.Response(body=found.packed, headers=headers)
        return web.Response(body=found.plain, headers=headers)


def _load(path: Path) -> _File:
    data = path.read_bytes()
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    packed = gzip.compress(data, 9, mtime=0) if kind.startswith(_COMPRESSED_TYPES) else None
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return _File(data, packed, f'"{hashlib.sha256(data).hexdigest()[:32]}"', kind)


def _security(request: web.Request) -> dict[str, str]:
    sockets = f" ws://{request.host} wss://{request.host}" if _HOST.fullmatch(request.host) else ""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        f"media-src 'self' blob:; font-src 'self'; manifest-src 'self'; connect-src 'self'{sockets}; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
