"""Policies of access keys: IAM's rules, as far as they go, and a refusal of what goes further."""

from typing import Any

import pytest

from appliance.bus.messages import Role
from appliance.errors import InvalidInputError
from appliance.gateway.kinesis.authority import Identity
from appliance.gateway.kinesis.keys import AccessKey
from appliance.gateway.kinesis.policies import EVERYTHING, Policy

pytestmark = pytest.mark.unit


def arn(name: str) -> str:
    """Of a channel."""
    return f"arn:aws:kinesisvideo:us-east-1:000000000000:channel/{name}/1700000000000"


def policy(*statements: tuple[str, str | list[str], str | list[str]]) -> Policy:
    """Of effects, actions and resources."""
    return Policy.read(
        {"Statement": [{"Effect": effect, "Action": act, "Resource": on} for effect, act, on in statements]}
    )


def test_without_a_policy_everything_is_allowed() -> None:
    assert EVERYTHING.allows("kinesisvideo:CreateSignalingChannel", arn("lobby"))
    assert EVERYTHING.allows("kinesisvideo:ListSignalingChannels", "*")


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("kinesisvideo:DescribeSignalingChannel", "lobby-1", True),
        ("kinesisvideo:DescribeMediaStorageConfiguration", "lobby-1", True),
        ("kinesisvideo:ConnectAsViewer", "lobby-22", True),
        ("kinesisvideo:ConnectAsViewer", "lobby-1", False),
        ("kinesisvideo:ConnectAsMaster", "lobby-22", False),
        ("kinesisvideo:DescribeSignalingChannel", "yard", False),
        ("kinesisvideo:DescribeSignalingChannel", "my-lobby-1", False),
        ("kinesisvideo:DescribeSignalingChannel", "lobby-secret", False),
    ],
)
def test_globs_and_denials(action: str, resource: str, allowed: bool) -> None:
    guard = policy(
        ("Allow", "kinesisvideo:Describe*", "lobby-*"),
        ("Allow", ["kinesisvideo:connectasviewer"], ["arn:aws:kinesisvideo:*:*:channel/lobby-??/*"]),
        ("Deny", "*", "lobby-secret"),
    )
    assert guard.allows(action, arn(resource)) is allowed


def test_listing_is_of_no_single_channel() -> None:
    assert not policy(("Allow", "kinesisvideo:*", "lobby-*")).allows(
        "kinesisvideo:ListSignalingChannels", "*"
    )
    assert policy(("Allow", "kinesisvideo:List*", "*")).allows("kinesisvideo:ListSignalingChannels", "*")


def test_brackets_in_a_glob_mean_themselves() -> None:
    within = policy(("Allow", "*", "arn:aws:kinesisvideo:*:*:channel/[a-z]*/*"))
    assert not within.allows("kinesisvideo:ConnectAsViewer", arn("lobby"))


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({}, "Statement"),
        ({"Statement": []}, "Statement"),
        ({"Statement": [{"Effect": "Allow", "Action": "*"}]}, "Resource"),
        ({"Statement": [{"Effect": "Maybe", "Action": "*", "Resource": "*"}]}, "Effect"),
        ({"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}, "Action"),
        ({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "a b"}]}, "Resource"),
        ({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {}}]}, "Condition"),
        ({"Statement": [{"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}]}, "NotAction"),
        ({"Version": "2008-10-17", "Statement": []}, "Version"),
    ],
)
def test_what_is_not_understood_is_refused(document: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidInputError, match=fault):
        Policy.read(document)


@pytest.mark.parametrize(
    ("actions", "role"),
    [("kinesisvideo:*", Role.VIEW), (["kinesisvideo:*", "fanlight:Control"], Role.CONTROL)],
)
def test_input_needs_an_action_of_its_own(actions: str | list[str], role: Role) -> None:
    key = AccessKey(
        name="tablet",
        access_key_id="FANL",
        secret_access_key="secret",
        created_at=0,
        policy=policy(("Allow", actions, "lobby-*")),
    )
    viewer = Identity(key).viewer(arn("lobby-1"))
    assert (viewer.kind, viewer.id, viewer.label, viewer.role) == ("key", "FANL", "tablet", role)
    assert "secret" not in repr(key)
