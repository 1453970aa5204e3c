"""What the tests of the streamer share."""

import os
from collections.abc import Iterator

import pytest

_NAMES = ("XDG_RUNTIME_DIR", "DISPLAY", "XAUTHORITY")


@pytest.fixture(scope="session")
def compositor_directory() -> dict[str, str]:
    """Where pixelflux's compositor put its socket; it stays there for as long as the process lives."""
    return {}


@pytest.fixture(scope="module")
def compositor_environment(compositor_directory: dict[str, str]) -> Iterator[None]:
    """An environment without displays; modules that use the compositor find it where the first one put it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _NAMES:
            patch.setenv(name, compositor_directory.get(name, ""))
        yield
        compositor_directory["XDG_RUNTIME_DIR"] = os.environ["XDG_RUNTIME_DIR"]
