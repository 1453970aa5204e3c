from dataclasses import dataclass

import pytest

from appliance.streamer.shard.placement import Home, Load, choose

pytestmark = pytest.mark.unit


@dataclass
class Shard:
    viewers: int = 0
    busy: bool = False


NEW = Shard()


@pytest.mark.parametrize(
    ("home", "shards", "bound", "chosen"),
    [
        (Home(9, busy=False), [Shard()], 0, None),
        (Home(1, busy=True), [], 0, NEW),
        (Home(1, busy=True), [Shard(5, busy=True), Shard(7)], 0, 1),
        (Home(1, busy=True), [Shard(5, busy=True)], 0, NEW),
        (Home(1, busy=True), [Shard(1)], 2, None),
        (Home(2, busy=False), [Shard(2), Shard(1)], 2, 1),
        (Home(2, busy=False), [Shard(2)], 2, NEW),
    ],
)
def test_the_first_with_room_is_chosen(home: Home, shards: list[Shard], bound: int, chosen: object) -> None:
    wanted = shards[chosen] if isinstance(chosen, int) else chosen
    assert choose(home, shards, bound, lambda: NEW) is wanted


def test_where_there_may_be_no_more_shards_the_least_crowded_gets_more() -> None:
    crowded, other = Shard(5, busy=True), Shard(4, busy=True)
    assert choose(Home(3, busy=True), [crowded, other], 0, lambda: None) is other
    assert choose(Home(3, busy=True), list[Shard](), 0, lambda: None) is None


def test_a_thread_is_busy_once_it_has_been_short_of_cpu_for_a_while() -> None:
    now, used = 0.0, 0.0
    load = Load(lambda: now, lambda: used)

    def second(share: float) -> bool:
        nonlocal now, used
        now, used = now + 1, used + share
        load.look()
        return load.busy

    assert [second(0.8) for _ in range(4)] == [False, False, True, True]
    assert [second(share) for share in (0.5, 0.9, 0.9, 0.9)] == [False, False, False, True]
