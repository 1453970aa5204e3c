"""The directories: named, by systemd, by XDG, by default."""

from pathlib import Path

import pytest

from appliance import paths

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("environ", "uid", "state", "runtime"),
    [
        ({"FANLIGHT_STATE_DIR": "/s", "FANLIGHT_RUNTIME_DIR": "/r", "STATE_DIRECTORY": "/x"}, 0, "/s", "/r"),
        ({"STATE_DIRECTORY": "/a:/b", "RUNTIME_DIRECTORY": "/c"}, 7, "/a", "/c"),
        ({}, 0, "/var/lib/fanlight", "/run/fanlight"),
        ({"HOME": "/h"}, 7, "/h/.local/state/fanlight", "/tmp/fanlight-7"),
        (
            {"XDG_STATE_HOME": "/x", "XDG_RUNTIME_DIR": "/run/user/7"},
            7,
            "/x/fanlight",
            "/run/user/7/fanlight",
        ),
    ],
)
def test_directories(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], uid: int, state: str, runtime: str
) -> None:
    monkeypatch.setattr(paths.os, "geteuid", lambda: uid)
    assert (paths.state_dir(environ), paths.runtime_dir(environ)) == (Path(state), Path(runtime))
    assert paths.control_socket(Path(runtime)) == Path(runtime, "control.sock")


def test_a_client_finds_the_service_where_it_has_no_daemon_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    service, own = tmp_path / "service", tmp_path / "own"
    monkeypatch.setattr(paths, "_SERVICE", service)
    assert paths.client_socket(own) == own / "control.sock"
    for each in (service, own):
        each.mkdir()
        (each / "control.sock").touch()
        assert paths.client_socket(own) == each / "control.sock"


def test_a_service_that_is_closed_to_us_is_there(monkeypatch: pytest.MonkeyPatch, plain_user: Path) -> None:
    monkeypatch.setattr(paths, "_SERVICE", plain_user / "closed")
    assert paths.client_socket(plain_user) == plain_user / "closed" / "control.sock"
