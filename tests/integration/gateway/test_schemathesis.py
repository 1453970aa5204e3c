"""Generated calls, valid and not, single and in sequence, against `/openapi.json` of a real gateway."""

from pathlib import Path

import pytest

from tests.support.gateway import FakeAgent, serving, settings, street
from tests.support.generated import survives

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

EXAMPLES = 40


async def test_no_generated_call_finds_a_fault(tmp_path: Path) -> None:
    config = settings(limits={"requests_per_second": 100_000})
    async with street(tmp_path, config) as here, serving(FakeAgent(here.bus)):
        pin, _ = await here.gateway.new_pin()
        async with here.http.post(here.base + "/fanlight/pair", json={"pin": pin}) as answer:
            device = answer.cookies["fanlight_device"].value
        await survives(
            f"{here.base}/openapi.json",
            tmp_path,
            examples=EXAMPLES,
            tokens={"API_TOKEN": await here.token(), "DEVICE_TOKEN": device},
        )
        assert (await here.api("GET", "/healthz"))[0] == 200
