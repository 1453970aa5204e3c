"""What a person at the terminal is told."""

from pathlib import Path

import pytest

from appliance.welcome import command

pytestmark = pytest.mark.unit


def _program(folder: Path) -> Path:
    folder.mkdir()
    program = folder / "fanlight"
    program.touch(0o755)
    return program


def test_the_command_that_is_told_is_this_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine, installed = _program(tmp_path / "my checkout"), _program(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command([str(mine)]) == f"'{mine}'"
    monkeypatch.setenv("PATH", str(installed.parent))
    assert command([str(mine)]) == f"'{mine}'"
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "fanlight").symlink_to(mine)
    monkeypatch.setenv("PATH", str(tmp_path / "link"))
    assert command([str(mine)]) == "fanlight"
    assert command(["/somewhere/appliance/__main__.py"]).endswith(" -m appliance")
