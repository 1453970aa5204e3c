"""What the tests of the Anbox dialect work with: its REST API, and clients in a browser."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from playwright.async_api import Browser, Page

from tests.support.box import Box, Running
from tests.support.sound_server import SoundServer

_PATIENCE_SECONDS = 40
_ASK = "async () => { const s = stream, r = await s.report(); return (%s) ? r : null }"


async def until(question: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    """The first answer that is true; there is no event to wait for at the other end of a wire."""
    async with asyncio.timeout(seconds):
        while True:
            if answer := await question():
                return answer
            await asyncio.sleep(0.1)


@dataclass(slots=True)
class Gateway:
    """The REST API as another program uses it; `page` is the origin of the clients."""

    box: Box
    drawing: Running
    http: aiohttp.ClientSession
    page: str
    token: str
    sound: SoundServer
    links: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.box.url.rstrip("/")

    async def api(
        self, method: str, path: str, json: Any = None, *, token: str | None = None, **options: Any
    ) -> tuple[int, Any]:
        """Status and body; the body holds the same status."""
        headers = {"Authorization": f"macaroon root={self.token if token is None else token}"}
        async with self.http.request(
            method, self.url + path, json=json, headers=headers | options.pop("headers", {}), **options
        ) as answer:
            body = await answer.json()
            assert body["status_code"] == answer.status
            return answer.status, body

    async def get(self, path: str) -> Any:
        """Metadata of a call that succeeds."""
        status, body = await self.api("GET", path)
        assert (status, body["status"]) == (200, "success"), body
        return body["metadata"]

    async def session(self, application: str = "test-pattern", **options: Any) -> str:
        """A new session that stays until it is deleted."""
        body = {"app": application, "joinable": True, "idle_time_min": 0, "ephemeral": False, **options}
        status, answer = await self.api("POST", "/1.0/sessions", body)
        assert status == 201, answer
        return str(answer["metadata"]["id"])

    async def link(self, session: str) -> str:
        """The `connect` URL of the one share into `session` that tests watch by."""
        if session not in self.links:
            status, answer = await self.api("POST", f"/1.0/sessions/{session}/share", {"type": "view"})
            assert status == 200, answer
            self.links[session] = str(answer["metadata"]["url"])
        return self.links[session]

    async def until(self, session: str, wanted: str, seconds: float = 30) -> Any:
        """The session once its status is `wanted`."""

        async def reached() -> Any:
            found = await self.get(f"/1.0/sessions/{session}")
            return found if found["status"] == wanted else None

        return await until(reached, seconds)

    async def viewers(self, session: str) -> list[Any]:
        """Who watches `session`, as the box tells it."""
        for each in (await self.box.snapshot())["instances"]:
            if each["session"] == session and each["stats"]:
                return list(each["stats"]["viewers"])
        return []

    async def eventually(self, question: Callable[[], Awaitable[Any]], seconds: float = 30) -> Any:
        """The first answer that is true."""
        return await until(question, seconds)

    async def left_alone(self, session: str) -> None:
        """Wait until nobody watches `session`."""

        async def alone() -> bool:
            return not await self.viewers(session)

        await until(alone, 30)


class Client:
    """client.js in a page of its own."""

    def __init__(self, page: Page, gateway: Gateway) -> None:
        self.page = page
        self.gateway = gateway

    async def watch(self, link: str, **options: Any) -> None:
        """Play by the `connect` link of a share."""
        await self.page.evaluate(
            """async ([link, options]) => {
                const connect = async () => {
                    const { metadata } = await (await fetch(link)).json();
                    return { url: metadata.url, servers: metadata.stun_servers };
                };
                const stage = document.getElementById('stage');
                window.stream = new client.AnboxStream({ connect }, stage, options);
                stream.connect().catch(() => {});
            }""",
            [link, options],
        )
        await self.until("r.frames >= 5")

    async def start(self, session: dict[str, Any], *, token: str | None = None, **options: Any) -> None:
        """Begin to connect, with `session` as the connector takes it and the stream's `options`."""
        await self.page.evaluate(
            """async ([url, token, session, options]) => {
                const connector = new client.GatewayConnector({ url, token, session });
                window.stream = new client.AnboxStream(connector, document.getElementById('stage'), options);
                stream.connect().catch(() => {});
            }""",
            [self.gateway.url, self.gateway.token if token is None else token, session, options],
        )

    async def play(self, session: dict[str, Any] | str, *, frames: int = 5, **options: Any) -> "Client":
        """Connect until it is ready and has decoded some frames."""
        await self.start({"id": session} if isinstance(session, str) else session, **options)
        await self.until("r.error || s.log.some(([name]) => name === 'ready')")
        report = await self.report()
        assert report["error"] is None, (report, await self.log())
        if options.get("video", True):
            await self.until(f"r.frames >= {frames} && r.width > 0")
        return self

    async def until(self, question: str, seconds: float = _PATIENCE_SECONDS) -> Any:
        """The report once the expression over `r` (the report) and `s` (the stream) is true."""
        try:
            return await until(lambda: self.page.evaluate(_ASK % question), seconds)
        except TimeoutError:
            raise AssertionError(f"not {question!r}: {await self.report()} {await self.log()}") from None

    async def report(self) -> Any:
        """What the stream is like now."""
        return await self.page.evaluate("stream.report()")

    async def log(self) -> list[Any]:
        """What happened, with milliseconds since the start."""
        return list(await self.page.evaluate("stream.log"))

    async def session(self) -> str:
        """The session that it is in."""
        return str(await self.page.evaluate("stream.session.id"))

    async def send(self, kind: str, data: Any) -> None:
        """A message on the control channel."""
        assert await self.page.evaluate("([type, data]) => stream.send(type, data)", [kind, data])

    async def more_frames(self, count: int = 10) -> None:
        """Wait until so many more frames were decoded."""
        now = (await self.report())["frames"]
        await self.until(f"r.frames >= {now + count}")


class Crowd:
    """Makes clients, and closes their pages at the end of a test."""

    def __init__(self, browser: Browser, gateway: Gateway) -> None:
        self.gateway = gateway
        self.browser = browser
        self._pages: list[Page] = []

    async def client(self) -> Client:
        page = await self.browser.new_page(ignore_https_errors=True)
        self._pages.append(page)
        await page.goto(f"{self.gateway.page}/client.html")
        await page.wait_for_function("() => window.client")
        return Client(page, self.gateway)

    async def play(self, session: dict[str, Any] | str, **options: Any) -> Client:
        """A new client that plays."""
        return await (await self.client()).play(session, **options)

    async def leave(self) -> None:
        for page in self._pages:
            await page.close()
