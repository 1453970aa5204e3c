import asyncio
from collections.abc import AsyncIterator

import pytest

from appliance.ams.operations import Operation, Operations, Progress
from appliance.errors import NoCapacityError, NotFoundError, UnavailableError

pytestmark = pytest.mark.unit


@pytest.fixture
def changes() -> list[Progress]:
    return []


@pytest.fixture
async def operations(changes: list[Progress]) -> AsyncIterator[Operations]:
    operations = Operations(lambda each: changes.append(each.progress))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(operations.run())
        await asyncio.sleep(0)
        yield operations
        running.cancel()


async def nothing() -> None:
    return


async def full() -> None:
    raise NoCapacityError("no room")


async def broken() -> None:
    raise ZeroDivisionError


async def ended(operation: Operation) -> tuple[Progress, str]:
    await operation.wait(5)
    return operation.progress, operation.error


async def test_an_operation_ends_well_or_with_its_reason(
    operations: Operations, changes: list[Progress]
) -> None:
    assert await ended(operations.begin("a", ["i"], nothing)) == (Progress.SUCCESS, "")
    assert changes == [Progress.RUNNING, Progress.SUCCESS]
    assert await ended(operations.begin("b", ["i"], full)) == (Progress.FAILURE, "no room")
    assert await ended(operations.begin("c", ["i"], broken)) == (Progress.FAILURE, "internal error")


async def test_waiting_ends_with_the_time(operations: Operations) -> None:
    operation = operations.begin("a", [], asyncio.Event().wait)  # type: ignore[arg-type]
    await operation.wait(0)
    assert operation.progress is Progress.RUNNING


async def test_those_that_ended_are_forgotten_and_those_that_run_are_not(operations: Operations) -> None:
    running = operations.begin("a", [], asyncio.Event().wait)  # type: ignore[arg-type]
    first = operations.begin("b", [], nothing)
    for _ in range(300):
        await operations.begin("c", [], nothing).wait(5)
    assert operations.get(running.id) is running
    assert len(operations.list()) <= 201
    with pytest.raises(NotFoundError):
        operations.get(first.id)


async def test_before_it_runs_nothing_begins() -> None:
    with pytest.raises(UnavailableError):
        Operations(lambda _: None).begin("a", [], nothing)
