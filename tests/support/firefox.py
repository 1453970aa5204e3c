"""Headless Firefox, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi): the distribution's own.

Playwright drives a Firefox of its own making, and one of Mozilla's that is newer than the distribution's.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.box import PROBE, running

PROGRAM = "/usr/bin/firefox-esr"
SHIFT, ENTER = "\ue008", "\ue006"
_PREFERENCES = {
    "media.autoplay.default": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.normandy.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.server": "data:,",
}
"""Sound at once, as tests of Chromium have it, and nothing from the network but the page."""


class Firefox:
    """One window; the probe runs in every page of it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count()
        self._window = ""

    async def begin(self) -> None:
        """Once, before anything else."""
        await self._do("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
        await self._do("script.addPreloadScript", functionDeclaration=f"() => {{ {PROBE} }}")
        tree = await self._do("browsingContext.getTree")
        self._window = tree["contexts"][0]["context"]

    async def goto(self, url: str) -> None:
        """Until the page is loaded."""
        await self._do("browsingContext.navigate", context=self._window, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """Its value, or that of its promise, as JSON has it; raises AssertionError."""
        whole = f"Promise.resolve({expression}).then((value) => JSON.stringify(value ?? null))"
        target = {"context": self._window}
        answer = await self._do("script.evaluate", expression=whole, target=target, awaitPromise=True)
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"]["value"])

    async def until(self, expression: str, seconds: float = 30) -> Any:
        """The first value that is true; raises AssertionError."""
        try:
            async with asyncio.timeout(seconds):
                while not (value := await self.evaluate(expression)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            text = await self.evaluate("document.body.innerText")
            raise AssertionError(f"never in {seconds} s: {expression}; the page says {text!r}") from None
        return value

    async def keys(self, text: str) -> None:
        """Press and lift them one after the other."""
        strokes = [{"type": kind, "value": each} for each in text for kind in ("keyDown", "keyUp")]
        await self._act("key", strokes)

    async def click(self, x: int, y: int) -> None:
        """With the left button, in CSS pixels of the page."""
        where = {"type": "pointerMove", "x": x, "y": y}
        await self._act(
            "pointer", [where, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        )

    async def turn(self, x: int, y: int, delta: int) -> None:
        """The wheel, down positive."""
        await self._act("wheel", [{"type": "scroll", "x": x, "y": y, "deltaX": 0, "deltaY": delta}])

    async def _act(self, kind: str, actions: list[dict[str, Any]]) -> None:
        source = {"type": kind, "id": kind, "actions": actions}
        await self._do("input.performActions", context=self._window, actions=[source])

    async def _do(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(60):
            while (answer := await self._socket.receive_json()).get("id") != number:
                pass  # an event
        assert answer["type"] == "success", f"{method}: {answer}"
        return answer["result"]


@contextlib.asynccontextmanager
async def firefox(directory: Path) -> AsyncIterator[Firefox]:
    """One with a fresh profile in `directory`."""
    profile = directory / "firefox"
    profile.mkdir()
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _PREFERENCES.items())
    (profile / "user.js").write_text("".join(lines))
    command = f'exec {PROGRAM} --headless --no-remote --profile "$0" --remote-debugging-port 0 2>&1'
    async with running(["sh", "-c", command, profile], env={"HOME": str(directory)}) as program:
        listening = await program.line(r"WebDriver BiDi listening on (ws://\S+)", 60)
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{listening[1]}/session") as socket:
            browser = Firefox(socket)
            await browser.begin()
            yield browser
