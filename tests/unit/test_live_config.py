"""What of a changed file holds at once, what waits for a restart, and what a broken file does."""

from pathlib import Path

import pytest

from appliance import config_file
from appliance.live_config import LiveConfig

pytestmark = pytest.mark.unit


def live(file: Path) -> LiveConfig:
    file.write_text("")
    return LiveConfig(file, config_file.load(file), live={"limits"}, unit="fanlight-gateway")


def test_what_is_live_holds_and_the_rest_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = live(file := tmp_path / "fanlight.toml")
    file.write_text(
        '[limits]\nrequests_per_second = 7\n[kinesis]\nregion = "eu-north-1"\n[log]\nformat = "json"\n'
    )
    assert settings.reload()
    assert settings.now.limits.requests_per_second == 7
    assert settings.now.kinesis.region == "us-east-1"
    (found,) = settings.problems()
    assert found.what == "changed, but in force only after a restart: log, kinesis"
    assert found.fix == "systemctl restart fanlight-gateway"
    assert found.what in caplog.text
    file.write_text("")
    assert settings.reload()
    assert settings.problems() == []


def test_a_broken_file_changes_nothing_until_it_is_mended(tmp_path: Path) -> None:
    settings = live(file := tmp_path / "fanlight.toml")
    before = settings.now
    file.write_text("[limits]\nrequests = 7\n")
    assert not settings.reload()
    assert settings.now is before
    (found,) = settings.problems()
    assert "limits.requests" in found.what
    file.write_text("")
    assert settings.reload()
    assert settings.problems() == []
