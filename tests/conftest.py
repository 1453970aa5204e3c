"""What holds for every test: one tier each, and nothing blocks an event loop."""

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings

_TIERS = {"unit", "integration", "e2e"}

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("full", settings.get_profile("unhurried"), max_examples=10_000)
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests without a tier marker, or with two."""
    wrong = [item.nodeid for item in items if len(_TIERS & {mark.name for mark in item.iter_markers()}) != 1]
    if wrong:
        raise pytest.UsageError(f"exactly one of {sorted(_TIERS)} must mark each test: {', '.join(wrong)}")


@pytest.fixture(autouse=True)
def no_blocking_calls(request: pytest.FixtureRequest) -> Iterator[BlockBuster | None]:
    """Let any blocking call inside an event loop fail a unit test."""
    if request.node.get_closest_marker("unit"):
        with blockbuster_ctx(["appliance", "hw", "tui"]) as detector:
            yield detector
    else:
        yield None
