"""The command line against a daemon's real control socket: exit codes, stdout, stderr."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance import cli, config_file, paths, verbs
from appliance.control.credentials import ShareParams
from appliance.control.schema import DrainParams, LaunchParams
from appliance.gateway import certificates
from tests.support.house import Fanlight, House

pytestmark = pytest.mark.unit

for each in pkgutil.iter_modules(verbs.__path__, "appliance.verbs."):
    importlib.import_module(each.name)  # here: they may be closed to the plain user below


def test_no_daemon_is_3(fanlight: Fanlight) -> None:
    code, out, err = fanlight("status")
    assert (code, out) == (3, "")
    assert "control.sock" in err


def test_not_found_is_4(fanlight: Fanlight, house: House) -> None:
    code, out, err = fanlight("stop", "i9")
    assert (code, out, err) == (4, "", "fanlight: no instance i9\n")


def test_refused_is_5(fanlight: Fanlight, house: House) -> None:
    assert fanlight("kick", "v1") == (5, "", "fanlight: not this one\n")


def test_a_daemon_that_is_closed_to_us_refuses(
    monkeypatch: pytest.MonkeyPatch, plain_user: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paths, "_SERVICE", plain_user / "closed")
    assert cli.main(["status", "--runtime-dir", str(plain_user)]) == 5
    assert "be root or a member of the group fanlight" in capsys.readouterr().err


def test_what_the_system_refuses_is_one_line(fanlight: Fanlight, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    state = str(tmp_path / "file")
    code, out, err = fanlight("enroll", "https://gateway:8443/", "half-a-code", "--state-dir", state)
    assert (code, out) == (1, "")
    assert err.startswith("fanlight: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("fly",),
        ("launch",),
        ("launch", "a", "--size", "big"),
        ("launch", "a", "--size", "9999x9999"),
        ("launch", "a", "--fps", "0"),
        ("share", "--role", "admin"),
        ("share", "--expires", "soon"),
        ("share", "--expires", "90d"),
        ("account", "create", "no/slash"),
        ("discover", "--timeout", "-1"),
        ("record", "start"),
        ("record", "start", "i1", "a.avi"),
        ("record", "stop", "i1", "/nowhere/a.mp4"),
        ("screenshot", "i1"),
    ],
)
def test_wrong_usage_is_2(fanlight: Fanlight, house: House, args: tuple[str, ...]) -> None:
    code, out, err = fanlight(*args)
    assert (code, out) == (2, "")
    assert err
    assert house.asked == []


def test_status_says_where_the_box_is(fanlight: Fanlight, house: House) -> None:
    assert "up 1 h 1 min  berlin  second floor  fanlight" in fanlight("status")[1]


def test_instances_of_a_gateway_have_their_boxes(fanlight: Fanlight, house: House) -> None:
    assert fanlight("instances")[1].startswith("ID ")
    house.elsewhere = "attic"
    head, row = fanlight("instances")[1].splitlines()
    assert (head.split()[0], row.split()[0]) == ("BOX", "attic")


def test_a_gateway_that_drains_waits_for_no_viewer_of_its_boxes(fanlight: Fanlight, house: House) -> None:
    house.elsewhere = "attic"
    assert fanlight("drain")[0] == 0


def test_a_share_that_would_last_too_long_is_refused_in_the_words_of_who_asked(fanlight: Fanlight) -> None:
    code, _, err = fanlight("share", "--expires", "99d")
    assert code == 2
    assert "'99d' is more than 30 d" in err


def test_share_prints_the_link_alone(fanlight: Fanlight, house: House) -> None:
    code, out, _ = fanlight("share", "i1", "--role", "control", "--expires", "1h30m")
    assert (code, out) == (0, "https://x:8443/#share=t\n")
    assert house.asked == [ShareParams(instance="i1", role="control", expires_s=5400)]  # type: ignore[arg-type]


def test_shares_are_listed_and_revoked(fanlight: Fanlight, house: House) -> None:
    head, row = fanlight("shares")[1].splitlines()
    assert head.split() == ["ID", "APPLICATION", "ROLE", "MADE", "UNTIL", "DESCRIPTION"]
    assert row.split()[:3] == ["sh", "desktop", "view"]
    assert row.endswith("for  [2Jyou")
    assert "url" not in json.loads(fanlight("shares", "--json")[1])[0]
    assert fanlight("unshare", "sh", "--json")[:2] == (0, '{\n  "unshared": "sh"\n}\n')
    assert fanlight("shares")[1] == "nothing is shared\n"
    assert fanlight("unshare", "sh")[0] == 4


def test_launch_prints_the_instance(fanlight: Fanlight, house: House) -> None:
    code, out, _ = fanlight("launch", "desktop", "--size", "640x480", "--fps", "30", "--no-streaming")
    assert (code, out) == (0, "i2\n")
    assert house.asked == [
        LaunchParams(application="desktop", width=640, height=480, fps=30, streaming=False)
    ]


@pytest.mark.parametrize("args", [("--json", "status"), ("status", "--json")])
def test_json_before_and_after_the_verb(fanlight: Fanlight, house: House, args: tuple[str, ...]) -> None:
    code, out, err = fanlight(*args)
    assert (code, err) == (0, "")
    assert json.loads(out)["box"]["name"] == "edge-7"


def test_status_tells_problems_screen_encoder_and_viewers(fanlight: Fanlight, house: House) -> None:
    out = fanlight("status")[1]
    for told in (
        "▲ DEGRADED",
        "up 1 h 1 min",
        "it burns",
        "fix: pour water",
        "desktop shows X11 :99 1920x1080: no display on this machine: our own",
        "x264 (software): no GPU",
        "Pixel phone",
    ):
        assert told in out


@pytest.mark.parametrize("verb", ["apps", "instances", "sessions", "viewers", "shares", "devices"])
def test_lists_are_arrays_in_json(fanlight: Fanlight, house: House, verb: str) -> None:
    assert isinstance(json.loads(fanlight(verb, "--json")[1]), list)


def test_a_keyframe_is_asked_for(fanlight: Fanlight, house: House) -> None:
    assert fanlight("keyframe", "desktop") == (0, "asked desktop for a keyframe\n", "")
    assert house.asked == ["desktop"]


def test_logs_of_an_instance(fanlight: Fanlight, house: House) -> None:
    assert fanlight("instances", "logs", "i1")[:2] == (0, "1 instance: running\n2 application:  ]0;he llo\n")
    assert json.loads(fanlight("instances", "logs", "i1", "--json")[1])["instance"] == "i1"
    assert fanlight("instances", "logs", "i9", "streamer")[0] == 4
    assert house.asked == ["", "", "streamer"]
    assert fanlight("instances", "logs")[0] == 2


def test_pair_tells_pin_and_page(fanlight: Fanlight, house: House) -> None:
    out = fanlight("pair")[1]
    assert "123456" in out
    assert "https://x:8443/" in out


def test_check_config_names_the_fault(fanlight: Fanlight, tmp_path: Path) -> None:
    file = tmp_path / "fanlight.toml"
    file.write_text("[video]\nfsp = 30\n")
    code, out, _ = fanlight("check-config", "--config", str(file))
    assert code == 2
    assert f"{file}:2: video.fsp: unknown key" in out
    file.write_text("[video]\nfps = 30\n")
    assert fanlight("--config", str(file), "check-config")[0] == 0


def test_check_config_opens_the_files_that_are_named(fanlight: Fanlight, tmp_path: Path) -> None:
    file, key = tmp_path / "fanlight.toml", certificates.new_ca("box")
    cert, secret = tmp_path / "cert.pem", tmp_path / "key.pem"
    tls = f'[tls]\nmode = "files"\ncert = "{cert}"\nkey = "{secret}"\n'
    file.write_text(
        f'{tls}[bus]\nmode = "external"\nurl = "tls://bus"\nca = "{cert}"\ncredentials = "{secret}"\n'
    )
    code, out, _ = fanlight("check-config", "--config", str(file))
    assert code == 2
    places = ((3, "tls: "), (8, "bus.ca: "), (9, "bus.credentials: "))
    for line, (number, name) in zip(out.splitlines(), places, strict=True):
        assert line.startswith(f"{file}:{number}: {name}{tmp_path}")
        assert "No such file" in line
    cert.write_bytes(key.certificate_pem)
    secret.write_bytes(key.key_pem)
    faults = json.loads(fanlight("check-config", "--config", str(file), "--json")[1])["faults"]
    assert [fault.split(":")[1] for fault in faults] == ["9"]
    file.write_text(tls)
    assert fanlight("check-config", "--config", str(file)) == (0, f"{file}: ok\n", "")


@pytest.mark.parametrize("verb", ["check-config", "doctor"])
def test_the_service_s_settings_that_are_closed_to_us_are_not_judged(
    monkeypatch: pytest.MonkeyPatch, plain_user: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    monkeypatch.setattr(config_file, "SYSTEM_FILE", plain_user / "closed" / "fanlight.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(plain_user))
    assert cli.main([verb, "--runtime-dir", str(plain_user)]) == 5
    said = capsys.readouterr()
    assert said.out == ""
    assert "closed/fanlight.toml: be root or a member of the group fanlight" in said.err


def test_the_defaults_of_a_daemon_of_one_s_own_are_judged(
    monkeypatch: pytest.MonkeyPatch, plain_user: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(config_file, "SYSTEM_FILE", plain_user / "closed" / "fanlight.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(plain_user))
    (plain_user / "control.sock").touch()
    assert cli.main(["check-config", "--runtime-dir", str(plain_user)]) == 0
    assert capsys.readouterr().out == "built-in defaults: ok\n"


def test_every_verb_has_its_function() -> None:
    places = set()

    def collect(parser: Any) -> None:
        if where := parser.get_default("verb_at"):
            places.add(where)
        for action in parser._actions:
            for child in (action.choices or {}).values() if isinstance(action.choices, dict) else ():
                collect(child)

    collect(cli.parser())
    assert len(places) == 42
    for where in places:
        assert callable(cli.verb(where))


def test_help_starts_fast_and_loads_nothing_heavy() -> None:
    heavy = "textual aiohttp aiortc av pydantic nats zeroconf segno"
    code = (
        "import sys; import appliance.cli; appliance.cli.parser();"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout.strip() == "[]"


def test_drain_waits_until_nobody_is_left(fanlight: Fanlight, house: House) -> None:
    code, out, _ = fanlight("drain", "--timeout", "5m")
    assert (code, out) == (0, "nobody is left; `fanlight drain --off` opens the box again\n")
    assert house.asked == [DrainParams(on=True, timeout_s=300)]
    assert fanlight("drain", "--off", "--json")[:2] == (0, '{\n  "draining": false\n}\n')
    assert house.asked[1:] == [DrainParams(on=False)]


def test_audit_prints_a_line_a_record(fanlight: Fanlight, house: House) -> None:
    code, out, _ = fanlight("audit")
    assert code == 0
    assert out.splitlines()[0].split() == ["TIME", "EVENT", "BY", "APPLICATION", "SESSION", "MORE"]
    assert out.splitlines()[2].split()[2:] == ["join", "Pixel", "192.0.2.7"]
    (only,) = json.loads(fanlight("audit", "--last", "1", "--json")[1])
    assert only["event"] == "join"
