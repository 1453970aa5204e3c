"""Every error that may leave a process of ours; `code` is stable, the text is not."""

from typing import ClassVar


class FanlightError(Exception):
    """Base of every error that may reach a peer."""

    code: ClassVar[str] = "internal"


class ConfigError(FanlightError):
    """The configuration is wrong; the text names file, line and key."""

    code = "bad_config"


class InvalidInputError(FanlightError):
    """A peer sent something malformed; the text names what and where."""

    code = "invalid"


class UnauthorizedError(FanlightError):
    """Who calls is not known: no, wrong or expired credentials."""

    code = "unauthorized"


class RefusedError(FanlightError):
    """Who calls is known and may not do this."""

    code = "refused"


class NotFoundError(FanlightError):
    """The named thing does not exist (any more)."""

    code = "not_found"


class ConflictError(FanlightError):
    """The thing is not in a state that allows this."""

    code = "conflict"


class NoCapacityError(FanlightError):
    """No slot is free."""

    code = "no_capacity"


class LimitExceededError(FanlightError):
    """A configured limit is reached."""

    code = "limit_exceeded"


class NotSupportedError(FanlightError):
    """The dialect has it, and a box does not do it."""

    code = "not_supported"


class UnavailableError(FanlightError):
    """A part that is needed does not answer; trying again later may work."""

    code = "unavailable"


_BY_CODE: dict[str, type[FanlightError]] = {
    leaf.code: leaf
    for leaf in (
        ConfigError,
        InvalidInputError,
        UnauthorizedError,
        RefusedError,
        NotFoundError,
        ConflictError,
        NoCapacityError,
        LimitExceededError,
        NotSupportedError,
        UnavailableError,
    )
}


def from_code(code: str, text: str) -> FanlightError:
    """Rebuild an error that travelled as `code` and `text`."""
    return _BY_CODE.get(code, FanlightError)(text)
