"""Who may come in: shares, paired browsers, accounts, enrolled boxes and access keys."""

from typing import Any

from pydantic import Field

from appliance.bus.messages import Role as Role
from appliance.control.schema import Model

SHARE_SECONDS_MAX = 30 * 86400


class NameParams(Model):
    """Names one account, key or enrolled box."""

    name: str


class ShareParams(Model):
    """`share`: a link into `instance` (default: the first running one)."""

    instance: str | None = None
    role: Role = Role.VIEW
    expires_s: int = Field(12 * 3600, ge=1, le=SHARE_SECONDS_MAX)


class Share(Model):
    """The link, and when it ends (unix time)."""

    id: str
    url: str
    role: Role
    expires_at: int


class ShareShown(Model):
    """A share without its link, which is shown once; times are unix times."""

    id: str
    session: str
    application: str = ""
    role: Role
    description: str = ""
    created_at: int
    expires_at: int


class Shares(Model):
    """All shares that still hold, the oldest first."""

    shares: list[ShareShown]


class Pin(Model):
    """A PIN that pairs one browser, once, before `expires_at` (unix time)."""

    pin: str
    expires_at: int
    url: str


class Device(Model):
    """A paired browser."""

    id: str
    name: str
    role: Role
    paired_at: int
    last_seen: int | None = None


class Devices(Model):
    """All paired browsers."""

    devices: list[Device]


class AccountParams(Model):
    """`account.create`: None never expires."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")
    expires_s: int | None = Field(None, ge=1)


class AccountToken(Model):
    """The token, shown this once."""

    name: str
    token: str


class Account(Model):
    """An account without its secret."""

    name: str
    created_at: int
    expires_at: int | None = None


class Accounts(Model):
    """All accounts."""

    accounts: list[Account]


class CodeParams(Model):
    """`enroll.create`: empty is what the box calls itself."""

    name: str = Field("", max_length=63)


class Code(Model):
    """What enrols one box, once, before `expires_at` (unix time), at the gateway `url`."""

    code: str
    url: str
    expires_at: int


class EnrolledBox(Model):
    """A box that registers here; `key` is the public half of the NATS key that it proves."""

    id: str
    name: str
    key: str
    enrolled_at: int
    answers: bool


class EnrolledBoxes(Model):
    """All of them."""

    boxes: list[EnrolledBox]


class KeyParams(Model):
    """`key.create`: a policy like IAM's; without one the key may do everything."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")
    policy: dict[str, Any] | None = None


class KeySecret(Model):
    """A new access key; the secret is shown this once."""

    name: str
    access_key_id: str
    secret_access_key: str


class Key(Model):
    """An access key without its secret."""

    name: str
    access_key_id: str
    created_at: int
    policy: dict[str, Any]


class Keys(Model):
    """All access keys."""

    keys: list[Key]
