"""What the gateway mints, at a real coturn: good while it holds, and only as it was minted."""

import ssl
import time
from pathlib import Path

import pytest
from aioice import stun

from appliance.config import IceSection
from appliance.ice import credentials, ice_servers
from appliance.verbs.turn_client import Server, turn_client
from tests.support.gateway import FakeAgent, FakeStreamer, serving, settings, street
from tests.support.ports import free_ports
from tests.support.turn import our_coturn

pytestmark = pytest.mark.integration

SECRET = "north"
OPEN = ("allow-loopback-peers", "allowed-peer-ip=127.0.0.1", "no-tls", "no-dtls")


async def allocates(server: Server, username: str, password: str) -> bool:
    """Whether coturn gives a relay for it; False for 401."""
    async with turn_client(server, username, password, ssl.create_default_context()) as client:
        try:
            await client.allocate()
        except stun.TransactionFailed as exc:
            if exc.response.attributes["ERROR-CODE"][0] != 401:
                raise
            return False
    return True


async def test_expired_and_tampered_credentials_are_refused(tmp_path: Path) -> None:
    port = free_ports(2).start
    url = f"turn:127.0.0.1:{port}"
    async with our_coturn(tmp_path, "127.0.0.1", port, SECRET, *OPEN):
        server = Server.of(url)
        (minted,) = ice_servers(IceSection(turn=[url], turn_secret=SECRET), "s1.peer")
        assert await allocates(server, minted.username, minted.password)
        now = int(time.time())
        assert not await allocates(server, *credentials(SECRET, "s1.peer", now - 1)), "expired"
        assert not await allocates(server, f"{now + 99999}:s1.peer", minted.password), "longer than granted"
        assert not await allocates(server, minted.username.replace("s1", "s2"), minted.password), "another's"
        assert not await allocates(server, *credentials("south", "s1.peer", now + 60)), "another secret"


async def test_client_and_streamer_have_credentials_of_their_own(tmp_path: Path) -> None:
    ice = {"turn": ["turn:turn.test"], "turn_secret": SECRET}
    async with street(tmp_path, settings(ice=ice)) as here:
        agent = FakeAgent(here.bus)
        async with serving(agent):
            token, session = await here.token(), await agent.ask_for_session()
            streamer = FakeStreamer(here.bus, session)
            async with serving(streamer):
                users = set()
                for _ in range(2):
                    _, joined = await here.api("POST", f"/1.0/sessions/{session}/join", token)
                    (client,) = joined["metadata"]["stun_servers"]
                    assert "username" not in joined["metadata"]["url"]
                    async with here.http.ws_connect(joined["metadata"]["url"]):
                        (box,) = (await streamer.next("open")).ice_servers
                    users |= {client["username"], box.username}
    assert len(users) == 4
    assert {each.split(":")[1].split(".")[0] for each in users} == {session}
    assert all(int(each.split(":")[0]) > time.time() for each in users)
