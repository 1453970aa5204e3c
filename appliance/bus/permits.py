"""What a box may do on the bus, in the words of nats-server's configuration."""

from collections.abc import Iterable
from typing import NamedTuple

from appliance.bus.subjects import announce, inbox, launch, sessions, stop


class BoxUser(NamedTuple):
    """A box that is let in: its id, and the public key that it proves."""

    box: str
    key: str


def users(boxes: Iterable[BoxUser]) -> str:
    """One user a box, for `authorization { users: [...] }`. A public key is no secret."""
    return "\n".join(_user(each) for each in boxes)


def _user(user: BoxUser) -> str:
    box = user.box
    publish = (announce(box), sessions(box), f"session.{box}.>", f"instance.{box}.>")
    subscribe = (launch(box), stop(box), f"session.{box}.>", f"instance.{box}.>", f"{inbox(box)}.>")
    # Answers to what a gateway asks: it is asked on subjects that only gateways may publish to.
    return (
        f'{{ nkey: "{user.key}", permissions: {{ publish: {_list(publish)}, '
        f"subscribe: {_list(subscribe)}, allow_responses: true }} }}"
    )


def _list(subjects: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{each}"' for each in subjects) + "]"
