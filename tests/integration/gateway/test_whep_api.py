"""WHEP at the gateway, with a streamer that only says what a real one says."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from appliance.bus.messages import Role, SessionState, SessionStatus
from appliance.bus.subjects import state
from appliance.errors import InvalidInputError, LimitExceededError
from appliance.gateway.service import Gateway
from appliance.gateway.tokens import Principal
from appliance.signaling.whep import FRAGMENT as FRAGMENT_TYPE
from appliance.signaling.whep import SDP
from tests.support.gateway import FakeAgent, Street, serving, settings, street, until
from tests.support.player import ANSWER, CANDIDATE, FRAGMENT, OFFER, PlayerStreamer

pytestmark = pytest.mark.integration

ICE = {"stun": ["stun:turn.example"], "turn": ["turn:turn.example"], "turn_secret": "north"}


@dataclass
class Theatre:
    """A gateway with one instance that streams, and a token."""

    here: Street
    agent: FakeAgent
    session: str
    token: str

    async def call(
        self, method: str, path: str, body: str | bytes = b"", kind: str = "", **headers: str
    ) -> tuple[int, aiohttp.ClientResponse]:
        """One request of a player; `If_Match` is `If-Match`."""
        sent = {"Authorization": f"Bearer {self.token}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        if kind:
            sent["Content-Type"] = kind
        async with self.here.http.request(method, self.here.base + path, data=body, headers=sent) as answer:
            await answer.read()
            return answer.status, answer

    async def offer(self, name: str = "desktop", sdp: str = OFFER, **headers: str) -> aiohttp.ClientResponse:
        return (await self.call("POST", f"/whep/{name}", sdp, SDP, **headers))[1]

    async def trickle(self, path: str, text: str = FRAGMENT, **headers: str) -> int:
        return (await self.call("PATCH", path, text, FRAGMENT_TYPE, **headers))[0]


@pytest.fixture
async def theatre(tmp_path: Path) -> AsyncIterator[Theatre]:
    async with street(tmp_path, settings(ice=ICE)) as here:
        agent = FakeAgent(here.bus)
        async with serving(agent):
            yield Theatre(here, agent, await agent.ask_for_session(), await here.token())


async def test_a_player_comes_trickles_and_goes(theatre: Theatre) -> None:
    streamer = PlayerStreamer(theatre.here.bus, theatre.session)
    async with serving(streamer):
        answer = await theatre.offer()
        opening = await streamer.next("open")
        assert (opening.dialect, opening.role, opening.label) == ("whep", Role.VIEW, "client")
        assert opening.address == "127.0.0.1"
        assert (await streamer.next("message")).text == OFFER
        assert (await streamer.next("close")).peer == opening.peer
        assert (answer.status, answer.content_type, await answer.text()) == (201, SDP, ANSWER)
        assert answer.headers["Accept-Patch"] == FRAGMENT_TYPE
        viewer, etag = answer.headers["Location"], answer.headers["ETag"]
        assert viewer.startswith(f"/whep/{theatre.session}/{opening.peer}.")
        for tag in ({"If_Match": etag}, {"If_Match": "*"}, {}):
            assert await theatre.trickle(viewer, **tag) == 204
            assert (await streamer.next("message")).text == f"a=mid:0\r\na={CANDIDATE}\r\n"
        assert await theatre.trickle(viewer, If_Match='"another"') == 412
        assert await theatre.trickle(viewer, FRAGMENT.replace("EsAw", "ysXw"), If_Match="*") == 422
        assert (await theatre.call("DELETE", viewer))[0] == 200
        assert (await streamer.next("kick")).peer == opening.peer
        assert (await theatre.call("DELETE", viewer))[0] == 404
        assert await theatre.trickle(viewer, If_Match=etag) == 404


async def test_ice_servers_are_in_links_and_in_what_the_streamer_is_told(theatre: Theatre) -> None:
    streamer = PlayerStreamer(theatre.here.bus, theatre.session)
    async with serving(streamer):
        answer = await theatre.offer()
        told = (await streamer.next("open")).ice_servers
    stun, turn = answer.headers.getall("Link")
    assert stun == '<stun:turn.example>; rel="ice-server"'
    proof = f'username="{told[1].username}"; credential="{told[1].password}"; credential-type="password"'
    assert turn == f'<turn:turn.example>; rel="ice-server"; {proof}'


async def test_an_instance_is_known_by_all_of_its_names(theatre: Theatre) -> None:
    streamer = PlayerStreamer(theatre.here.bus, theatre.session)
    async with serving(streamer):
        news = SessionState(session=theatre.session, status=SessionStatus.ACTIVE, instance="box1-desktop")
        await theatre.here.bus.publish(state(theatre.session), news)
        context: Any = theatre.here.gateway._context

        async def known() -> bool:
            return (await context.sessions.get(theatre.session)).instance == "box1-desktop"

        await until(known)
        for name in (theatre.session, "box1-desktop", "desktop"):
            assert (await theatre.offer(name)).status == 201
        assert (await theatre.offer("nobody")).status == 404


async def test_an_application_is_launched_for_who_may(theatre: Theatre) -> None:
    _, url, _ = await theatre.here.gateway.share(theatre.session, Role.CONTROL, 3600)
    guest = replace(theatre, token=url.partition("#share=")[2])
    assert (await guest.offer("demo")).status == 403
    assert not theatre.agent.launched

    async def serve_what_is_launched() -> None:
        await until(lambda: theatre.agent.launched)
        streamer = PlayerStreamer(theatre.here.bus, theatre.agent.launched[0].session)
        async with serving(streamer):
            await streamer.next("close")

    async with asyncio.TaskGroup() as group:
        group.create_task(serve_what_is_launched())
        first = group.create_task(theatre.offer("demo"))
    assert first.result().status == 201
    assert theatre.agent.launched[0].application == "demo"


async def test_a_box_without_a_free_slot_says_come_again(theatre: Theatre) -> None:
    theatre.agent.slots = 0
    await theatre.agent.announce()
    answer = await theatre.offer("demo")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


async def test_a_share_link_and_a_device_are_tokens_too(theatre: Theatre) -> None:
    streamer = PlayerStreamer(theatre.here.bus, theatre.session)
    other = await theatre.agent.ask_for_session(application="demo")
    _, url, _ = await theatre.here.gateway.share(theatre.session, Role.VIEW, 3600)
    pin, _ = await theatre.here.gateway.new_pin()
    async with theatre.here.http.post(theatre.here.base + "/fanlight/pair", json={"pin": pin}) as paired:
        device = paired.cookies["fanlight_device"].value
    async with serving(streamer):
        guest, browser = replace(theatre, token=url.partition("#share=")[2]), replace(theatre, token=device)
        assert (await guest.offer(theatre.session)).status == 201
        assert (await guest.offer(other)).status == 403
        theirs = (await browser.offer()).headers["Location"]
        assert await guest.trickle(theirs) == 403
        assert (await guest.call("DELETE", theirs))[0] == 403
        assert (await browser.call("DELETE", theirs))[0] == 200


@pytest.mark.parametrize("token", ["", "nonsense", "a.b", "\u00e9"])
async def test_without_a_token_nobody_comes_in_not_even_by_a_cookie(theatre: Theatre, token: str) -> None:
    pin, _ = await theatre.here.gateway.new_pin()
    async with theatre.here.http.post(theatre.here.base + "/fanlight/pair", json={"pin": pin}):
        pass
    answer = await replace(theatre, token=token).offer()
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


BAD = {
    "another type": (415, OFFER, "text/plain"),
    "no type": (415, OFFER, "application/octet-stream"),
    "nothing": (400, "", SDP),
    "no sdp": (400, "hello", SDP),
    "no text": (400, b"v=0\r\n\xff", SDP),
    "sends": (400, OFFER.replace("recvonly", "sendonly"), SDP),
    "no codec": (406, OFFER.replace("opus", "PCMU"), SDP),
    "too large": (413, OFFER + "a=x\r\n" * 20_000, SDP),
}


@pytest.mark.parametrize(("status", "body", "kind"), BAD.values(), ids=BAD)
async def test_bad_offers_reach_no_streamer(theatre: Theatre, status: int, body: str, kind: str) -> None:
    streamer = PlayerStreamer(theatre.here.bus, theatre.session)
    async with serving(streamer):
        assert (await theatre.call("POST", "/whep/desktop", body, kind))[0] == status
    assert not streamer.seen


async def test_an_offer_that_the_streamer_cannot_answer_leaves_nothing_behind(theatre: Theatre) -> None:
    streamer = PlayerStreamer(theatre.here.bus, theatre.session, answer="sdp: malformed: no DTLS fingerprint")
    async with serving(streamer):
        answer = await theatre.offer()
        assert (answer.status, (await answer.json())["error"]) == (400, "sdp: malformed: no DTLS fingerprint")
        await streamer.next("kick")
        assert not streamer.peers


async def test_a_viewer_too_many_may_come_again(theatre: Theatre) -> None:
    full = PlayerStreamer(theatre.here.bus, theatre.session, refuses=LimitExceededError("full"))
    async with serving(full):
        answer = await theatre.offer()
        assert (answer.status, (await answer.json())["error"]) == (503, "full")
        full.refuses = InvalidInputError("PeerEvent: dialect: it knows no players")
        assert (await theatre.offer()).status == 400


async def test_pages_of_others_may_play(theatre: Theatre) -> None:
    asked = {"Origin": "https://player.example", "Access_Control_Request_Method": "POST"}
    status, preflight = await replace(theatre, token="").call("OPTIONS", "/whep/desktop", **asked)
    assert (status, preflight.headers["Accept-Post"]) == (200, SDP)
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    streamer = PlayerStreamer(theatre.here.bus, theatre.session)
    async with serving(streamer):
        answer = await theatre.offer(Origin="https://player.example")
    assert answer.status == 201
    told = answer.headers["Access-Control-Expose-Headers"]
    assert all(name in told for name in ("Location", "Link", "ETag"))
    refused = await replace(theatre, token="").offer(Origin="https://player.example")
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, "*")


async def test_other_methods_are_none(theatre: Theatre) -> None:
    for path in ("/whep/desktop", f"/whep/{theatre.session}/x.y"):
        assert (await theatre.call("GET", path))[0] == 204
        assert (await theatre.call("PUT", path))[0] == 405
    status, asked = await theatre.call("OPTIONS", f"/whep/{theatre.session}/x.y")
    assert (status, asked.headers["Accept-Patch"]) == (200, FRAGMENT_TYPE)


async def test_a_viewer_of_one_node_is_ended_at_another(theatre: Theatre, tmp_path: Path) -> None:
    gateway = Gateway(settings(), tmp_path / "two", lambda: theatre.here.bus)
    streamer = PlayerStreamer(theatre.here.bus, theatre.session)
    async with serving(gateway, streamer):
        viewer = (await theatre.offer()).headers["Location"]
        elsewhere = replace(theatre, here=replace(theatre.here, gateway=gateway))
        assert await elsewhere.trickle(viewer) == 204
        assert (await elsewhere.call("DELETE", viewer))[0] == 200
    assert not streamer.peers


async def test_whose_token_is_revoked_is_disconnected(theatre: Theatre) -> None:
    streamer = PlayerStreamer(theatre.here.bus, theatre.session)
    async with serving(streamer):
        await theatre.offer()
        peer = (await streamer.next("open")).peer
        assert peer.startswith(Principal("account", "client", "", Role.VIEW).tag)
        await streamer.tell_viewers(peer)
        context: Any = theatre.here.gateway._context
        await until(lambda: context.viewers.of(theatre.session))
        await theatre.here.gateway.delete_account("client")
        assert (await streamer.next("kick")).peer == peer


async def test_a_session_that_has_ended_has_no_viewers(theatre: Theatre) -> None:
    streamer = PlayerStreamer(theatre.here.bus, theatre.session)
    async with serving(streamer):
        viewer = (await theatre.offer()).headers["Location"]
        await theatre.here.gateway.stop_session(theatre.session)
        assert await theatre.trickle(viewer) == 404
        assert (await theatre.offer(theatre.session)).status == 404
