"""A gateway of ours in the place of the cloud."""

from pathlib import Path

import pytest

from appliance.bus.messages import Role
from appliance.gateway.kinesis.policies import Policy, Statement
from tests.support.cloud import Cloud
from tests.support.gateway import serving, settings, street
from tests.support.kvs import open_lobby
from tests.support.uplink_site import uplinked

pytestmark = pytest.mark.integration

MASTER = [f"kinesisvideo:{each}" for each in ("Describe*", "Create*", "Get*", "ConnectAsMaster")]
ONLY = Policy(Statement=[Statement(Effect="Allow", Action=MASTER, Resource=["demo"])])


def use(monkeypatch: pytest.MonkeyPatch, key: dict[str, str]) -> None:
    for name, value in key.items():
        monkeypatch.setenv(name.upper(), value)


async def test_it_trusts_the_authority_that_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with street(tmp_path, settings(tls={"mode": "auto"})) as here:
        use(monkeypatch, await Cloud(here).key("box", ONLY))
        async with uplinked(tmp_path / "no", here.base, create=True) as site:
            await site.reads("CERTIFICATE_VERIFY_FAILED")
        ca = str(tmp_path / "tls" / "ca.pem")
        async with uplinked(tmp_path / "yes", here.base, create=True, ca=ca) as site:
            await site.reads("connected as master of demo in eu-north-1; 0 viewers")


async def test_viewers_get_the_role_that_is_set_and_ice_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ice = {"turn": ["turn:turn.example.org"], "turn_secret": "secret"}
    async with street(tmp_path, settings(ice=ice)) as here:
        cloud = Cloud(here)
        use(monkeypatch, await cloud.key("box", ONLY))
        async with (
            open_lobby(cloud, "demo") as lobby,
            uplinked(tmp_path / "box", here.base, role="control") as site,
            serving(streamer := site.streamer()),
            lobby.viewer("v1") as viewer,
        ):
            await viewer.send("SDP_OFFER", "offer")
            opening = await streamer.next("open")
            assert opening.role is Role.CONTROL
            assert [each.urls for each in opening.ice_servers] == [["turn:turn.example.org"]]
            assert opening.ice_servers[0].password
