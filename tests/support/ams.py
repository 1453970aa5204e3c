"""An instance manager with its AMS listener, beside a gateway: real streamers, real sessions."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from appliance.agent.desk import SessionDesk
from appliance.ams.service import AmsServer
from appliance.bus.link import BusLink
from appliance.bus.spec import EncoderChoice
from appliance.config import Config
from appliance.instances.manager import InstanceManager
from tests.support.described import Described
from tests.support.gateway import Street, serving, settings, street

X264 = EncoderChoice(name="x264", codec="H264", backend="pyav")


class NoHardware:
    """A machine without display and GPU."""

    def displays(self) -> list[Any]:
        return []

    def gpus(self) -> list[Any]:
        return []

    def encoding_gpus(self) -> list[str]:
        return []

    def encoders(self, *_: Any, **__: Any) -> list[EncoderChoice]:
        return [X264]


@dataclass
class Office:
    """The AMS listener, and a client with a token; every answer is held against `/openapi.json`."""

    street: Street
    ams: AmsServer
    manager: InstanceManager
    base: str
    http: aiohttp.ClientSession
    token: str

    async def api(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """One call; status and body."""
        async with self.http.request(method, self.base + path, headers=self.known, **options) as answer:
            return answer.status, await answer.json()

    @property
    def known(self) -> dict[str, str]:
        return {"Authorization": f"macaroon root={self.token}"}

    async def get(self, path: str) -> Any:
        """The metadata of a call that succeeds."""
        status, body = await self.api("GET", path)
        assert (status, body["type"], body["status"]) == (200, "sync", "Success"), body
        return body["metadata"]

    async def do(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Begin an operation and wait for its end; returns it."""
        status, begun = await self.api(method, path, json=body or {})
        assert (status, begun["type"], begun["status"], begun["status_code"]) == (202, "async", "OK", 100)
        assert begun["operation"] == f"/1.0/operations/{begun['metadata']['id']}"
        ended: dict[str, Any] = await self.get(f"{begun['operation']}/wait?timeout=20")
        return ended

    async def launch(self, app: str, **body: Any) -> str:
        """The address of a new instance."""
        operation = await self.do("POST", "/1.0/instances", {"app_id": app, **body})
        assert operation["status"] == "Success", operation
        (address,) = operation["resources"]["instances"]
        return str(address)

    async def until(self, address: str, status: str) -> dict[str, Any]:
        """The instance once it is so."""
        async with asyncio.timeout(20):
            while (found := await self.get(address))["status"] != status:
                await asyncio.sleep(0.05)
        return dict(found)


@contextlib.asynccontextmanager
async def office(tmp_path: Path, config: Config, machine: Any = None) -> AsyncIterator[Office]:
    """Everything up."""
    machine = machine or NoHardware()
    async with street(tmp_path, config) as here:
        link = BusLink(lambda: here.server.address, "box")
        manager = InstanceManager(
            "box1",
            lambda: config,
            tmp_path,
            tmp_path / "run",
            link,
            lambda: here.server.address,
            SessionDesk("box1", "", link),
            machine,
        )
        ams = AmsServer(config, tmp_path, manager, machine, here.gateway)
        token = await here.token()
        async with serving(link, manager, ams), aiohttp.ClientSession() as stranger:
            async with stranger.get(f"{ams.url}/openapi.json") as answer:
                described = Described(await answer.json())
            async with aiohttp.ClientSession(trace_configs=[described.trace()]) as http:
                yield Office(here, ams, manager, ams.url, http, token)


def with_applications(*applications: dict[str, Any], **sections: dict[str, Any]) -> Config:
    """Settings of a box on loopback that has these applications."""
    return settings(
        application=list(applications),  # type: ignore[arg-type]
        instances={"listen": "127.0.0.1:0", **sections.pop("instances", {})},
        ice={"udp_port": 0},
        audio={"enabled": False},
        **sections,
    )
