"""Accounts, keys and enrolments from the command line."""

import json
import os
from pathlib import Path

import pytest

from appliance.control.credentials import CodeParams, KeyParams
from tests.support.house import Fanlight, House

pytestmark = pytest.mark.unit


def test_account_create_prints_the_token_alone(fanlight: Fanlight, house: House) -> None:
    assert fanlight("account", "create", "ci")[:2] == (0, "tok-1\n")


def test_key_create_prints_what_sdks_read_from_the_environment(fanlight: Fanlight, house: House) -> None:
    assert fanlight("key", "create", "cam")[:2] == (
        0,
        "AWS_ACCESS_KEY_ID=FANL1\nAWS_SECRET_ACCESS_KEY=s3cret\n",
    )
    made = json.loads(fanlight("key", "create", "cam", "--json")[1])
    assert (made["access_key_id"], made["secret_access_key"]) == ("FANL1", "s3cret")


def test_key_create_takes_a_policy(fanlight: Fanlight, house: House, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    for bad in ("", "[]", "{"):
        file.write_text(bad)
        assert fanlight("key", "create", "cam", "--policy", str(file))[0] == 2
    file.write_text('{"Statement": []}')
    assert fanlight("key", "create", "cam", "--policy", str(file))[0] == 0
    assert house.asked == [KeyParams(name="cam", policy={"Statement": []})]


def test_key_list_and_delete(fanlight: Fanlight, house: House) -> None:
    assert "kinesisvideo:* on lobby-*" in fanlight("key", "list")[1]
    assert json.loads(fanlight("key", "list", "--json")[1])[0]["access_key_id"] == "FANL1"
    assert fanlight("key", "delete", "cam")[0] == 0
    assert house.asked == ["cam"]


def test_account_list_and_delete(fanlight: Fanlight, house: House) -> None:
    assert json.loads(fanlight("account", "list", "--json")[1])[0]["name"] == "ci"
    assert fanlight("account", "delete", "ci")[0] == 0
    assert house.asked == ["ci"]


def test_enroll_create_prints_what_to_run_on_the_box(fanlight: Fanlight, house: House) -> None:
    code, out, _ = fanlight("enroll", "create", "attic")
    assert (code, out) == (0, "fanlight enroll https://gateway:8443/ secret.pin\n")
    assert house.asked == [CodeParams(name="attic")]


def test_enroll_list_and_delete(fanlight: Fanlight, house: House) -> None:
    assert json.loads(fanlight("enroll", "list", "--json")[1])[0]["name"] == "attic"
    assert 'nkey: "UAAA' in fanlight("enroll", "list", "--nats")[1]
    assert 'nkey: "UAAA' in json.loads(fanlight("enroll", "list", "--nats", "--json")[1])["users"]
    assert fanlight("enroll", "delete", "attic")[0] == 0
    assert house.asked == ["attic"]


@pytest.mark.parametrize(
    "options", [(), ("--json",), ("--config=/dev/null", "--json"), ("--config", "/dev/null")]
)
def test_enroll_with_a_url_registers_this_box(
    fanlight: Fanlight, tmp_path: Path, options: tuple[str, ...]
) -> None:
    url, code_there = "https://gateway:8443/", "half-a-code"
    code, _, err = fanlight("enroll", *options, url, code_there, "--state-dir", str(tmp_path))
    assert code == 2
    assert "not a whole one" in err


def test_what_root_makes_when_it_enrols_a_box_belongs_to_the_daemon(
    fanlight: Fanlight, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    if os.geteuid() == 0:
        os.chown(state, 65534, 65534)
    _, _, err = fanlight("enroll", "http://127.0.0.1:9/", "secret.", "--state-dir", str(state))
    assert "no gateway answers there" in err
    made = {each.name: each.owner() for each in state.rglob("*")}
    assert made == dict.fromkeys(("box-id", "remote", "asked.json"), state.owner())
