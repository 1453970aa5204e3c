"""The configuration: the shipped example is the model, and every fault names where it is."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from appliance import config_file
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
        ('[tls]\nmode = "off"\n', ':2: tls.mode: "off" is for loopback only: set gateway.listen'),
        (
            '[gateway]\nlisten = "127.0.0.1:1"\n[tls]\nmode = "off"\n[instances]\nlisten = "0.0.0.0:1"\n',
            ':4: tls.mode: "off" is for loopback only: set instances.listen',
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
            ":5: application.1.name: 'a' is there twice",
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
        ('[ice]\nturn = ["turn:turn.example.org:99999"]\n', ":2: ice.turn: 'turn:turn.example.org:99999'"),
        ('[ice]\nturn = ["turn:a:b"]\n', ":2: ice.turn: 'turn:a:b' must be like"),
        ('[ice]\nstun = ["stuns:stun.example.org"]\n', ":2: ice.stun: 'stuns:stun.example.org' must be like"),
        ('[kinesis.uplink]\nchannel = "a"\n', ":1: kinesis.uplink: an uplink needs both region and channel"),
        (
            '[kinesis.uplink]\nregion = "eu-north-1"\nchannel = "a"\napplication = "b"\n',
            ":4: kinesis.uplink.application: there is no application 'b'",
        ),
        ("fps = 1\n[video\n", ":2: Expected ']' at the end of a table declaration"),
        ('[box]\nname = """\nattic\n', ":3: Unterminated string"),
        ("video = 3\n", ":1: video: Input should be a valid dictionary"),
        (
            '[gateway]\nmode = "off"\n[kinesis.uplink]\nregion = "eu-north-1"\nchannel = "a"\n',
            ':3: kinesis.uplink: with gateway.mode = "off" nothing is streamed',
        ),
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


def test_the_environment_reaches_sections_of_sections_and_numbers_to_choose_from() -> None:
    names = {"REGION": "eu-north-1", "CHANNEL": "lobby"}
    config = load(None, {f"FANLIGHT_KINESIS_UPLINK_{name}": value for name, value in names.items()})
    assert (config.kinesis.uplink.region, config.kinesis.uplink.channel) == ("eu-north-1", "lobby")
    assert load(None, {"FANLIGHT_AUDIO_FRAME_MS": "10"}).audio.frame_ms == 10
    with pytest.raises(ConfigError, match=r"^\$FANLIGHT_AUDIO_FRAME_MS: audio\.frame_ms: Input should be 5"):
        load(None, {"FANLIGHT_AUDIO_FRAME_MS": "7"})


@pytest.mark.parametrize("text", ["ice = 3\n", "ice = [{ udp_port = 1 }]\n"])
def test_what_stands_where_a_section_belongs_is_a_fault_whatever_comes_over_it(
    tmp_path: Path, text: str
) -> None:
    file = write(tmp_path, text)
    (tmp_path / "ice.turn_secret").write_text("hush")
    with pytest.raises(ConfigError) as raised:
        load(file, {"FANLIGHT_ICE_UDP_PORT": "1", "FANLIGHT_VIDEO_FPS": "fast"})
    assert f"{file}:1: ice: Input should be a valid dictionary" in str(raised.value)
    assert "$FANLIGHT_VIDEO_FPS: video.fps: " in str(raised.value)


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


def test_the_credentials_of_the_bus_are_a_path(tmp_path: Path) -> None:
    (tmp_path / "bus.credentials").write_text("-----BEGIN NATS USER JWT-----\n")
    config = load(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert config.bus.credentials == str(tmp_path / "bus.credentials")


def test_a_secret_beside_the_file_counts_where_systemd_gives_none(tmp_path: Path) -> None:
    file = tmp_path / "fanlight.toml"
    file.write_text("")
    (tmp_path / "ice.turn_secret").write_text("north\n")
    assert load(file, {}).ice.turn_secret == "north"
    systemd = tmp_path / "credentials"
    systemd.mkdir()
    (systemd / "gateway.token").write_text("south\n")
    environ = {"CREDENTIALS_DIRECTORY": str(systemd)}
    config = load(file, environ)
    assert (config.gateway.token, config.ice.turn_secret) == ("south", "north")
    (systemd / "ice.turn_secret").write_text("east\n")
    assert load(file, environ).ice.turn_secret == "east"


def test_faults_between_sections_are_named_together(tmp_path: Path) -> None:
    twice = '[[application]]\nname = "a"\nkind = "desktop"\n' * 2
    file = write(tmp_path, f'[tls]\nmode = "off"\n[bus]\nlisten = "0.0.0.0:4222"\n{twice}')
    with pytest.raises(ConfigError) as raised:
        load(file, NOTHING)
    assert [line.split(":")[1] for line in str(raised.value).splitlines()] == ["9", "2", "2"]


def test_a_system_file_in_a_folder_that_is_closed_is_not_ours(
    monkeypatch: pytest.MonkeyPatch, plain_user: Path
) -> None:
    monkeypatch.setattr(config_file, "SYSTEM_FILE", plain_user / "closed" / "fanlight.toml")
    environ = {"XDG_CONFIG_HOME": str(plain_user)}
    assert default_file(environ) is None
    with pytest.raises(ConfigError, match=r"fanlight\.toml: Permission denied$"):
        load(config_file.SYSTEM_FILE, NOTHING)
    own = plain_user / "fanlight" / "fanlight.toml"
    own.parent.mkdir()
    own.touch()
    assert default_file(environ) == own


def test_a_system_file_that_cannot_be_read_is_a_fault_rather_than_none(
    monkeypatch: pytest.MonkeyPatch, plain_user: Path
) -> None:
    file = plain_user / "fanlight.toml"
    file.touch(mode=0o000)
    monkeypatch.setattr(config_file, "SYSTEM_FILE", file)
    assert default_file({"XDG_CONFIG_HOME": str(plain_user)}) == file
    with pytest.raises(ConfigError, match="Permission denied"):
        load(file, NOTHING)
