"""The AMS listener as a part of the daemon, and where no gateway is on the box."""

import asyncio
import json
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest

from appliance.agent.desk import SessionDesk
from appliance.ams.service import AmsServer
from appliance.bus.connection import BusAddress
from appliance.bus.link import BusLink
from appliance.config import Config
from appliance.errors import UnauthorizedError, UnavailableError
from appliance.instances.manager import InstanceManager
from tests.support.ams import NoHardware
from tests.support.box import box, settings
from tests.support.gateway import serving

pytestmark = pytest.mark.integration

PATTERN = '[[application]]\nname = "pattern"\nkind = "test-pattern"\nsize = "64x64"\n'


def alone(tmp_path: Path, **section: str) -> AmsServer:
    """A listener without a gateway; its manager does not run."""
    config = Config.model_validate({"instances": {"listen": "127.0.0.1:0", **section}})
    link = BusLink(lambda: BusAddress(""), "box")
    manager = InstanceManager(
        "b", lambda: config, tmp_path, tmp_path, link, link.address, SessionDesk("b", "", link), NoHardware()
    )
    return AmsServer(config, tmp_path, manager, NoHardware(), None)


async def trusting(tmp_path: Path) -> aiohttp.ClientSession:
    """A client that knows the box's authority and nobody else."""
    context = await asyncio.to_thread(ssl.create_default_context, cafile=str(tmp_path / "tls" / "ca.pem"))
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))


async def test_a_daemon_serves_it_with_its_certificate_and_for_its_accounts(tmp_path: Path) -> None:
    async with box(tmp_path, settings() + PATTERN) as running:
        snapshot = await running.until("any(each['name'] == 'instances' for each in s['parts'])")
        (url,) = [each["detail"] for each in snapshot["parts"] if each["name"] == "instances"]
        token = (await running.cli("account", "create", "ci"))["token"]
        known = {"Authorization": f"macaroon root={token}"}
        async with await trusting(tmp_path / "state") as http:
            body = {"app_id": "pattern", "config": {"enable_streaming": True}}
            async with http.post(f"{url}/1.0/instances", json=body, headers=known) as answer:
                operation = (await answer.json())["operation"]
            async with http.get(f"{url}{operation}/wait", headers=known) as answer:
                (instance,) = (await answer.json())["metadata"]["resources"]["instances"]
        name = instance.rpartition("/")[2]
        await running.until("s['sessions'] and s['sessions'][0]['status'] == 'active'")
        said = await running.cli("instances", "logs", name)
        assert any("instance: pattern starts" in line for line in said["lines"])
        (launch,) = [each for each in await running.cli("audit") if each["event"] == "launch"]
        assert (launch["by"], launch["instance"]) == ("account ci", name)


async def test_without_a_gateway_the_token_of_the_configuration_holds(tmp_path: Path) -> None:
    ams = alone(tmp_path, token="secret")
    async with serving(ams), await trusting(tmp_path) as http:
        for token, status in (("secret", 200), ("other", 401), ("", 401)):
            known = {"Authorization": f"macaroon root={token}"}
            async with http.get(f"{ams.url}/1.0/applications", headers=known) as answer:
                assert answer.status == status, json.dumps(await answer.json())


async def test_a_token_that_is_no_text_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(UnauthorizedError):
        await alone(tmp_path, token="secret")._authenticate("\udcff")


async def test_a_lower_rate_of_the_file_is_felt(tmp_path: Path) -> None:
    ams = alone(tmp_path, token="secret")
    async with serving(ams), await trusting(tmp_path) as http:
        section = {"listen": "127.0.0.1:0", "token": "secret"}
        ams.reload(Config.model_validate({"instances": section, "limits": {"requests_per_second": 1}}))
        known = {"Authorization": "macaroon root=secret"}
        answers = []
        for _ in range(20):
            async with http.get(f"{ams.url}/1.0/applications", headers=known) as answer:
                answers.append(answer.status)
        assert answers[0] == 200
        assert 429 in answers


async def test_without_any_token_nobody_is_known(tmp_path: Path) -> None:
    ams = alone(tmp_path)
    async with (
        serving(ams),
        await trusting(tmp_path) as http,
        http.get(f"{ams.url}/1.0/applications?api_token=") as answer,
    ):
        assert answer.status == 401


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ams = alone(tmp_path, listen=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ExceptionGroup) as failed:
            await ams.serve(asyncio.Event())
    (cause,) = failed.value.exceptions
    assert isinstance(cause, UnavailableError)
    assert "set instances.listen" in str(cause)
