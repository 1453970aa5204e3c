"""Both flows of the Anbox dialect end in a picture, with what the client asked for."""

import pytest

from tests.e2e.anbox.clients import Crowd, Gateway

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]


async def test_a_client_that_creates_a_session_sees_the_pattern_in_the_size_it_asked_for(crowd: Crowd) -> None:
    screen = {"width": 800, "height": 600, "fps": 15, "density": 240}
    client = await crowd.play({"app": "test-pattern", "screen": screen})
    report = await client.report()
    assert (report["width"], report["height"]) == (800, 600)
    assert [line.split()[0] for line in report["lines"]] == ["m=video", "m=audio", "m=application"]
    assert report["streams"]["audio"]
    assert report["streams"]["video"]
    assert report["streams"]["audio"] != report["streams"]["video"], "no lip sync that holds the picture up"
    print(await client.log(), report)
