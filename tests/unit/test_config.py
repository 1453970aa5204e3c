"""The configuration: the shipped example is the model, and every fault names where it is."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from appliance.config import ApplicationSection, Config, VideoSection
from appliance.config_file import default_file, load
from appliance.errors import ConfigError

pytestmark = pytest.mark.unit

EXAMPLE = Path(__file__).parents[2] / "examples" / "fanlight.toml"
NOTHING: dict[str, str] = {}
NO_FIXED_DEFAULT = {"box.name", "application.fps"}


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "fanlight.toml"
    file.write_text(text)
    return file


def uncommented(hashes: str) -> str:
    """The example with the keys behind so many hashes made live."""
    return re.sub(rf"^{hashes}(?=\[|\w+ = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)


def keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Dotted names of all keys below `model`."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        section = ApplicationSection if prefix + name == "application" else field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            found |= keys(section, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def keys_set(value: BaseModel, prefix: str = "") -> set[str]:
    """Dotted names of the keys that were given, not defaulted."""
    found: set[str] = set()
    for name in value.model_fields_set:
        part: Any = getattr(value, name)
        sections = [
            each for each in (part if isinstance(part, list) else [part]) if isinstance(each, BaseModel)
        ]
        for section in sections:
            found |= keys_set(section, f"{prefix}{name}.")
        if not sections:
            found.add(prefix + name)
    return found


def test_the_example_as_shipped_is_the_defaults() -> None:
    assert load(EXAMPLE, NOTHING) == Config()


def test_the_values_in_the_example_are_the_defaults(tmp_path: Path) -> None:
    assert load(write(tmp_path, uncommented("#")), NOTHING) == Config()


def test_the_example_has_every_key(tmp_path: Path) -> None:
    given = keys_set(load(write(tmp_path, uncommented("#")), NOTHING))
    assert given == keys(Config) - NO_FIXED_DEFAULT


def test_keys_without_a_fixed_default_are_in_the_example_too() -> None:
    shown = set(re.findall(r"^##(\w+) = ", EXAMPLE.read_text(), flags=re.MULTILINE))
    assert shown == {key.rpartition(".")[2] for key in NO_FIXED_DEFAULT}


@pytest.mark.parametrize("file", EXAMPLE.parent.glob("*.toml"), ids=lambda file: file.name)
def test_every_example_is_sound(file: Path) -> None:
    assert load(file, NOTHING).application


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[video]\nfps = 0\n", ":2: video.fps: Input should be greater than or equal to 1"),
        ('[ice]\nexternal_address = "me.example"\n', ":2: ice.external_address: must be an IP address"),
        ("[video]\n\nfsp = 60\n", ":3: video.fsp: unknown key"),
        ("[vidoe]\nfps = 60\n", ":1: vidoe: unknown key"),
        ('[gateway]\nlisten = "8443"\n', ":2: gateway.listen: must be HOST:PORT, like 0.0.0.0:8443"),
        ('[gateway]\nlisten = "0.0.0.0:70000"\n', ":2: gateway.listen: must be HOST:PORT, like 0.0.0.0:8443"),
        ('[tls]\nmode = "files"\n', ':1: tls: mode = "files" needs both cert and key'),
        ('[tls]\nmode = "off"\nnames = ["a"]\n', ':1: tls: names are for mode = "auto"'),
        ('[tls]\nnames = ["https://a"]\n', "tls.names"),
        ('[tls]\nmode = "off"\n', 'tls.mode = "off" is for loopback only'),
        (
            '[gateway]\nlisten = "127.0.0.1:1"\n[tls]\nmode = "off"\n[instances]\nlisten = "0.0.0.0:1"\n',
            'tls.mode = "off" is for loopback only: set instances.listen',
        ),
        ('[instances]\nlisten = "8444"\n', ":2: instances.listen: must be HOST:PORT"),
        ('[bus]\nmode = "external"\n', ':1: bus: mode = "external" needs url'),
        (
            '[[application]]\nname = "a"\nkind = "command"\n',
            ':1: application.0: kind = "command" needs a command',
        ),
        (
            '[[application]]\nname = "a"\nkind = "desktop"\n[[application]]\nname = "b"\nkind = "file"\n',
            ':4: application.1: kind = "file" needs a file',
        ),
        (
            '[[application]]\nname = "a"\nkind = "desktop"\n[[application]]\nname = "a"\nkind = "desktop"\n',
            "application 'a' is there twice",
        ),
        (
            '[[application]]\nname = "a"\nkind = "desktop"\nsize = "big"\n',
            ":4: application.0.size: must be WIDTHx",
        ),
        ('[video]\nmax_size = "3840x2400"\n', ":2: video.max_size: must be from 16x16 to 3840x2160"),
        (
            '[[application]]\nname = "a"\nkind = "desktop"\nsize = "00x00"\n',
            ":4: application.0.size: must be from 16x16",
        ),
        (
            '[ice]\nstun = ["stun.example.org:3478"]\n',
            ":2: ice.stun: 'stun.example.org",
        ),
        ('[kinesis.uplink]\nchannel = "a"\n', ":1: kinesis.uplink: an uplink needs both region and channel"),
        (
            '[kinesis.uplink]\nregion = "eu-north-1"\nchannel = "a"\napplication = "b"\n',
            "kinesis.uplink: there is no application 'b'",
        ),
        ("[video\n", "at line 1"),
    ],
)
def test_a_fault_names_file_line_key_and_reason(tmp_path: Path, text: str, fault: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load(file, NOTHING)
    assert str(raised.value).startswith(str(file))
    assert fault in str(raised.value)


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, '[video]\nfps = "fast"\n[limits]\ninstances = 0\n')
    with pytest.raises(ConfigError) as raised:
        load(file, NOTHING)
    assert [line.split(":")[1] for line in str(raised.value).splitlines()] == ["2", "4"]


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"fanlight\.toml"):
        load(tmp_path / "fanlight.toml", NOTHING)


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, '[video]\nfps = 24\n[ice]\nstun = ["stun:a"]\n')
    config = load(file, {"FANLIGHT_VIDEO_FPS": "30", "FANLIGHT_ICE_STUN": "stun:b,stun:c"})
    assert config.video.fps == 30
    assert config.ice.stun == ["stun:b", "stun:c"]


def test_a_fault_in_the_environment_names_the_variable() -> None:
    with pytest.raises(ConfigError, match=r"^\$FANLIGHT_VIDEO_FPS: video\.fps: "):
        load(None, {"FANLIGHT_VIDEO_FPS": "fast"})


def test_secrets_come_from_credentials_and_stay_out_of_reprs(tmp_path: Path) -> None:
    (tmp_path / "ice.turn_secret").write_text("hush\n")
    config = load(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert config.ice.turn_secret == "hush"
    assert "hush" not in repr(config)


def test_the_users_file_is_read_where_the_system_has_none(tmp_path: Path) -> None:
    file = tmp_path / "fanlight" / "fanlight.toml"
    assert default_file({"XDG_CONFIG_HOME": str(tmp_path)}) is None
    file.parent.mkdir()
    file.write_text("")
    assert default_file({"XDG_CONFIG_HOME": str(tmp_path)}) == file


@pytest.mark.parametrize(
    ("size", "even"), [("1280x720", (1280, 720)), ("1366x767", (1366, 768)), ("641x99", (642, 100))]
)
def test_sizes_are_rounded_up_to_even(size: str, even: tuple[int, int]) -> None:
    assert ApplicationSection(name="a", kind="test-pattern", size=size).width_height == even


def test_the_largest_size_is_even() -> None:
    assert VideoSection(max_size="1919x1079").largest == (1918, 1078)


def test_a_credential_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "ice.turn_secret").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"ice\.turn_secret"):
        load(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_a_secret_beside_the_file_counts_where_systemd_gives_none(tmp_path: Path) -> None:
    file = tmp_path / "fanlight.toml"
    file.write_text("")
    (tmp_path / "ice.turn_secret").write_text("north\n")
    assert load(file, {}).ice.turn_secret == "north"
    systemd = tmp_path / "credentials"
    systemd.mkdir()
    assert load(file, {"CREDENTIALS_DIRECTORY": str(systemd)}).ice.turn_secret == ""
