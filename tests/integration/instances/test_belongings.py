"""What a client sends along with an instance reaches its application."""

import asyncio
import json
from pathlib import Path

import pytest

from appliance.bus.messages import LaunchRequest
from appliance.instances.belongings import Belongings
from tests.support.ams import office, with_applications

pytestmark = pytest.mark.integration

TELLING = """
(
  echo "instance=$FANLIGHT_INSTANCE session=$FANLIGHT_SESSION app=$FANLIGHT_APP version=$FANLIGHT_APP_VERSION"
  echo "colour=$COLOUR"
  cat "$FANLIGHT_INSTANCE_DIR"/userdata "$FANLIGHT_INSTANCE_DIR"/*.json 2>/dev/null
  echo
) > "$OUT".part
mv "$OUT".part "$OUT"
ls -d "$FANLIGHT_INSTANCE_DIR"/sockets >> "$OUT"
exec sleep 60
"""


def telling(out: Path) -> dict[str, object]:
    return {
        "name": "telling",
        "kind": "command",
        "command": ["sh", "-c", TELLING],
        "env": {"OUT": str(out), "COLOUR": "blue"},
        "size": "64x64",
    }


async def told(out: Path) -> list[str]:
    async with asyncio.timeout(20):
        while not (out.exists() and out.read_text().rstrip().endswith("sockets")):
            await asyncio.sleep(0.02)
    return out.read_text().splitlines()


async def test_userdata_and_version_of_an_instance(tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with office(tmp_path, with_applications(telling(out))) as here:
        address = await here.launch("telling", user_data="a\nübrige\n", app_version=7)
        name = address.rpartition("/")[2]
        first, *rest, _, sockets = await told(out)
        assert first == f"instance={name} session= app=telling version=7"
        assert rest == ["colour=blue", "a", "übrige"]
        directory = Path(sockets).parent
        assert (directory.name, directory.stat().st_mode & 0o777) == (name, 0o700)
        await here.do("DELETE", address)
        assert not directory.exists()


async def test_extra_data_of_a_session(tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with office(tmp_path, with_applications(telling(out))) as here:
        request = LaunchRequest(
            session="s1", application="telling", version=-1, extra_data={"seat": [4, None]}
        )
        name = await here.manager.launch_for(request)
        first, _, extra, _ = await told(out)
        assert first == f"instance={name} session=s1 app=telling version="
        assert json.loads(extra) == {"seat": [4, None]}


async def test_what_a_killed_daemon_left_is_cleared_and_what_one_that_lives_has_is_not(
    tmp_path: Path,
) -> None:
    left = tmp_path / "left" / "sockets"
    left.mkdir(parents=True)
    async with Belongings(tmp_path).claimed():
        assert not left.exists()
        left.mkdir(parents=True)
        async with Belongings(tmp_path).claimed():
            assert left.exists()
