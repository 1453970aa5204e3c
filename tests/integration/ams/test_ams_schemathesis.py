"""Generated calls against `/openapi.json` of the instance manager."""

from pathlib import Path

import pytest

from tests.support.ams import office, with_applications
from tests.support.generated import survives

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

DEMO = {"name": "demo", "kind": "test-pattern", "size": "64x64"}
EXAMPLES = 5


async def test_no_generated_call_to_the_instance_manager_finds_a_fault(tmp_path: Path) -> None:
    config = with_applications(DEMO, limits={"requests_per_second": 100_000, "instances": 1})
    async with office(tmp_path, config) as here:
        await survives(
            f"{here.base}/openapi.json",
            tmp_path,
            examples=EXAMPLES,
            tokens={"API_TOKEN": here.token, "DEVICE_TOKEN": ""},
        )
        assert (await here.get("/1.0"))["auth"] == "trusted"
