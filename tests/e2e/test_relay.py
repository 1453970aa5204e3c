"""A picture through a real coturn: where only the viewer can relay, only the box can, or all must."""

import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from appliance.ice import credentials
from tests.support.namespaces import BOX, ROUTER, VIEWER, Namespaces, box_of, namespaces, page_of, plays
from tests.support.turn import coturn, our_coturn

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

MEDIA, TURN = 40000, 3478
SECRET = "north"

WALL = f"""
table inet wall {{
  chain forward {{
    type filter hook forward priority 0
    meta l4proto udp drop
  }}
  counter media {{ }}
  counter turn {{ }}
  chain input {{
    type filter hook input priority 0
    ip saddr {BOX} udp sport {MEDIA} counter name media
    ip saddr {BOX} udp dport {TURN} counter name turn
  }}
}}
"""
"""Between viewer and box no UDP passes; the router, which has the TURN server, hears both."""

NO_WAY = f"""
table inet wall {{
  counter turn {{ }}
  chain forward {{
    type filter hook forward priority 0; policy drop
    meta l4proto tcp accept
  }}
  chain input {{
    type filter hook input priority 0
    ip saddr {VIEWER} udp dport {TURN} counter name turn
  }}
}}
"""
"""Nothing passes between viewer and box but the page and its signaling; the TURN server is on the router."""

PUBLIC, RELAYS = 50000, 50010
FORWARDED = f"""
table ip doors {{
  chain prerouting {{
    type nat hook prerouting priority -100
    ip daddr {ROUTER} udp dport {{ {TURN}, {PUBLIC}-{RELAYS} }} dnat to {BOX}
  }}
  chain forward {{
    type filter hook forward priority 0; policy drop
    meta l4proto tcp accept
    ct state established,related accept
    ip saddr {VIEWER} udp dport {TURN} accept
  }}
}}
"""
"""The router forwards the ports of a TURN server that is on the box, and lets the viewer in by no other."""

GATHERED = """async ([urls, username, credential]) => {
  const iceServers = [{ urls, username, credential }];
  const peer = new RTCPeerConnection({ iceServers, iceTransportPolicy: 'relay' });
  const found = [], errors = [];
  peer.onicecandidate = ({ candidate }) => { if (candidate?.type === 'relay') found.push(candidate.type) };
  peer.onicecandidateerror = ({ errorCode }) => errors.push(errorCode);
  const complete = new Promise((done) => {
    peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && done();
  });
  peer.createDataChannel('x');
  await peer.setLocalDescription();
  await complete;
  peer.close();
  return found.length ? 'relayed' : errors.includes(401) ? 'refused' : `${errors}`;
}"""
"""What comes of gathering with these credentials."""

HANDED_OUT = """async () => {
  const { session } = await (await fetch('/fanlight/me')).json();
  const way = await (await fetch(`/fanlight/sessions/${session}/watch`, { method: 'POST' })).json();
  return way.stun_servers;
}"""

CONFIGURED = """(() => {
  const Peer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer {
    constructor(configuration) { super({ ...configuration, %s }) }
  };
})()"""


@pytest.fixture
def here() -> Iterator[Namespaces]:
    with namespaces() as made:
        made.route_viewer()
        yield made


def turn(here: Namespaces, directory: Path, *options: str) -> AbstractAsyncContextManager[Any]:
    """A TURN server on the router."""
    return coturn(directory, ROUTER, TURN, *options, prefix=("ip", "netns", "exec", here.router))


async def local_types(page: Page) -> list[str]:
    """Of the page's candidates in use."""
    return list(
        await page.evaluate(
            "(async () => { const found = []; for (const peer of __probe.peers) {"
            " const stats = await peer.getStats();"
            " for (const pair of stats.values()) if (pair.type === 'candidate-pair' && pair.bytesReceived)"
            "  found.push(stats.get(pair.localCandidateId).candidateType) } return found })()"
        )
    )


async def test_a_viewer_that_relays_gets_the_picture_from_the_one_port(
    here: Namespaces, tmp_path: Path
) -> None:
    here.filter(here.router, WALL)
    server = f"{{urls: 'turn:{ROUTER}:{TURN}', username: 'viewer', credential: '{SECRET}'}}"
    script = CONFIGURED % f"iceTransportPolicy: 'relay', iceServers: [{server}]"
    async with (
        turn(here, tmp_path, "lt-cred-mech", f"user=viewer:{SECRET}"),
        box_of(here, tmp_path) as running,
        page_of(here, tmp_path, script) as page,
    ):
        assert await plays(page, running, BOX) == [f"{BOX}:{MEDIA}"]
        assert await local_types(page) == ["relay"]
        viewer = await the_viewer(running)
    assert (viewer["pair"], viewer["state"]) == ("relay", "connected")
    assert here.counted(here.router, "inet wall", "media") > 20, "not through the shared port"


async def test_a_box_that_relays_reaches_a_viewer_that_has_no_relay(here: Namespaces, tmp_path: Path) -> None:
    here.filter(here.router, WALL)
    script = CONFIGURED % f"iceServers: [{{urls: 'stun:{ROUTER}:{TURN}'}}]"
    async with (
        turn(here, tmp_path, "use-auth-secret", f"static-auth-secret={SECRET}"),
        box_of(here, tmp_path, turn=[f"turn:{ROUTER}:{TURN}"], turn_secret=SECRET) as running,
        page_of(here, tmp_path, script) as page,
    ):
        (remote,) = await plays(page, running, BOX)
        assert remote.startswith(f"{ROUTER}:")
        assert "relay" not in await local_types(page)
        viewer = await the_viewer(running)
    assert (viewer["pair"], viewer["state"]) == ("relay", "connected")
    assert here.counted(here.router, "inet wall", "turn") > 20


async def test_through_the_relay_alone_and_only_with_credentials_that_hold(
    here: Namespaces, tmp_path: Path
) -> None:
    here.filter(here.router, NO_WAY)
    url = f"turn:{ROUTER}:{TURN}?transport="
    prefix = ("ip", "netns", "exec", here.router)
    allowed = (f"allowed-peer-ip={BOX}", "no-tls", "no-dtls")
    async with (
        our_coturn(tmp_path, ROUTER, TURN, SECRET, *allowed, prefix=prefix),
        box_of(here, tmp_path, turn=[f"{url}udp", f"{url}tcp"], turn_secret=SECRET) as running,
        page_of(here, tmp_path) as page,
    ):
        await plays(page, running, BOX)
        assert "relay" in await local_types(page)
        assert here.counted(here.router, "inet wall", "turn") > 20
        (server,) = await page.evaluate(HANDED_OUT)
        name, password = server["username"], server["password"]
        expiry, _, who = name.partition(":")
        tries = {
            "as it is": (name, password),
            "for longer": (f"{int(expiry) + 3600}:{who}", password),
            "for another": (name + "x", password),
            "expired": credentials(SECRET, who, int(time.time()) - 1),
        }
        outcomes = {
            each: await page.evaluate(GATHERED, [f"{url}udp", *tried]) for each, tried in tries.items()
        }
    assert outcomes == {
        "as it is": "relayed", "for longer": "refused", "for another": "refused", "expired": "refused"
    }  # fmt: skip


async def test_a_turn_server_on_the_box_behind_a_router_with_a_public_address(
    here: Namespaces, tmp_path: Path
) -> None:
    here.filter(here.router, FORWARDED)
    options = (
        f"external-ip={ROUTER}/{BOX}", f"allowed-peer-ip={BOX}", f"min-port={PUBLIC}", f"max-port={RELAYS}",
        "no-tls", "no-dtls",
    )  # fmt: skip
    url = f"turn:{ROUTER}:{TURN}"
    async with (
        our_coturn(tmp_path, BOX, TURN, SECRET, *options, prefix=("ip", "netns", "exec", here.box)),
        box_of(here, tmp_path, turn=[url], turn_secret=SECRET) as running,
        page_of(here, tmp_path) as page,
    ):
        await plays(page, running, BOX)
        # By its public address, or as the box sees it, at the private one.
        assert set(await local_types(page)) <= {"relay", "prflx"}


async def the_viewer(running: Any) -> Any:
    """The only one, once it has been measured."""
    snapshot = await running.until("any(v['bitrate_kbps'] for v in s['instances'][0]['stats']['viewers'])")
    (viewer,) = snapshot["instances"][0]["stats"]["viewers"]
    return viewer
