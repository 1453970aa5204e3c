"""Parts of install.sh that need no machine of their own, in folders of the test."""

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
TURN = """set -Eeuo pipefail
ROOT=$1 SETTINGS=$2 VERSION="" DRY_RUN="" TURN_HOST=box.invalid
for part in steps packages environment system turn; do source "$ROOT/packaging/$part.sh"; done
SETTINGS=$2 BEFORE=$2/.before TURN_SETTINGS=$2/turnserver.conf TURN_SECRET=$2/ice.turn_secret
"""


def _run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    drafts, settings = folder / "drafts", folder / "settings"
    for each in (drafts, settings):
        each.mkdir()
    heeding = ("env", "--default-signal=HUP")  # which a shell never heeds that was started by nohup
    return subprocess.run(
        [*heeding, "bash", "-c", TURN + script, "bash", ROOT, settings],
        capture_output=True,
        text=True,
        timeout=30,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(drafts)},
    )


def test_a_turn_server_whose_name_has_no_address_yet(tmp_path: Path) -> None:
    done = _run("make_turn_secret; make_turn_settings", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "box.invalid has no IPv4 address yet" in done.stderr
    secret = (tmp_path / "settings/ice.turn_secret").read_text()
    settings = (tmp_path / "settings/turnserver.conf").read_text().splitlines()
    assert {f"static-auth-secret={secret}", "realm=box.invalid", "# external-ip=203.0.113.7"} <= {*settings}
    assert not [line for line in settings if "@" in line and not line.startswith("#")]


def _installed(*packages: str) -> str:
    """A dpkg-query in whose database there are these alone, as `NAME=STATUS[ STATUS...]`."""
    cases = "".join(
        f"{name}) echo -n '{status} ' ;; " for name, _, status in (x.partition("=") for x in packages)
    )
    return f"""dpkg-query() {{
      local status=0
      for name; do case $name in --*) ;; {cases} *) status=1 ;; esac; done
      return $status
    }}
    """


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        (["pipewire-pulse=installed"], False),
        (["pipewire-alsa=installed"], False),
        (["pipewire-pulse=config-files", "pipewire-alsa=not-installed"], True),
        ([], True),
    ],
)
def test_no_sound_server_is_installed_beside_that_of_a_desktop(
    tmp_path: Path, there: list[str], wanted: bool
) -> None:
    script = 'source "$ROOT/packaging/packages.sh"\nprintf "%s\\n" "${RUN_PACKAGES[@]}"'
    done = _run(_installed(*there) + script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert ("pulseaudio" in done.stdout.split()) == wanted


def test_a_package_of_two_architectures_is_there(tmp_path: Path) -> None:
    there = _installed("libx11-6=installed installed", "xvfb=half-installed")
    done = _run(f"{there}missing_packages libx11-6 xvfb xauth", tmp_path)
    assert done.stdout.split() == ["xvfb", "xauth"]


def test_what_is_fetched_is_for_a_machine_without_a_sound_server(tmp_path: Path) -> None:
    programs, folder = tmp_path / "bin", tmp_path / "not" / "yet"
    programs.mkdir()
    asked = programs / "dpkg-query"
    asked.write_text("#!/bin/sh\necho -n 'installed '\n")
    asked.chmod(0o755)
    done = subprocess.run(
        [ROOT / "install.sh", "--dry-run", "--fetch", folder],
        capture_output=True,
        text=True,
        timeout=30,
        env={"PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    (fetching,) = [line for line in done.stderr.splitlines() if "--download-only" in line]
    assert "pulseaudio" in fetching.split()
    assert f"Dir::Cache::Archives={folder}" in fetching


def test_a_turn_secret_that_cannot_be_placed_is_left_nowhere(tmp_path: Path) -> None:
    done = _run('place() { return 1; }\nstep "TURN server" make_turn_secret', tmp_path)
    assert done.returncode == 1
    assert "failed at: TURN server" in done.stderr
    assert list((tmp_path / "drafts").iterdir()) == []


def test_a_terminal_that_goes_away_leaves_nothing_half_done(tmp_path: Path) -> None:
    work = 'work() { undo_with touch "$SETTINGS/undone"; exec 2>/dev/full; kill -HUP $$; kill -HUP $$; }\n'
    done = _run(f'{work}step "Work" work', tmp_path)
    assert done.returncode == 129
    assert (tmp_path / "settings/undone").exists()


def test_a_checkout_that_was_moved_gets_its_environment_anew(tmp_path: Path) -> None:
    moved = 'cp "$ROOT"/{pyproject.toml,requirements*.lock} "$SETTINGS"\n'
    for_each = 'for ROOT in "$ROOT" "$SETTINGS"; do stamp python3 "$ROOT/requirements.lock"; done'
    done = _run(moved + for_each, tmp_path)
    assert done.returncode == 0, done.stderr
    here, there = done.stdout.split()
    assert here != there
