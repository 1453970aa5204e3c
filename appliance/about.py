"""What a line of the log is about: the session, the instance. Holds for a block and the tasks begun in it."""

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

_FIELDS: ContextVar[Mapping[str, str]] = ContextVar("fields", default={})  # noqa: B039  (never changed in place)


@contextlib.contextmanager
def about(**fields: str | None) -> Iterator[None]:
    """Until the end of the block, what is logged is about these too."""
    token = _FIELDS.set({**_FIELDS.get(), **{key: value for key, value in fields.items() if value}})
    try:
        yield
    finally:
        _FIELDS.reset(token)


def subject() -> Mapping[str, str]:
    """What is logged here and now is about these."""
    return _FIELDS.get()
