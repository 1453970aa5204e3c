"""A picture through a real coturn: where only the viewer can relay, and where only the box can."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from tests.support.namespaces import BOX, ROUTER, Namespaces, box_of, namespaces, page_of, plays
from tests.support.turn import coturn

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
        made.filter(made.router, WALL)
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


async def the_viewer(running: Any) -> Any:
    """The only one, once it has been measured."""
    snapshot = await running.until("any(v['bitrate_kbps'] for v in s['instances'][0]['stats']['viewers'])")
    (viewer,) = snapshot["instances"][0]["stats"]["viewers"]
    return viewer
