from __future__ import annotations

from dicom_nodes.network.arrival_rate import MOST_ADDRESSES, ArrivalRate


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_allowances_come_back_with_time_and_only_so_many() -> None:
    clock = Clock()
    rate = ArrivalRate(10, clock)
    assert sum(rate.allows("10.0.0.1") for _ in range(50)) == 20
    clock.seconds = 0.5
    assert sum(rate.allows("10.0.0.1") for _ in range(50)) == 5
    clock.seconds = 1000
    assert sum(rate.allows("10.0.0.1") for _ in range(50)) == 20


def test_addresses_do_not_share_their_allowances() -> None:
    rate = ArrivalRate(1, Clock())
    assert [rate.allows("10.0.0.1") for _ in range(3)] == [True, True, False]
    assert rate.allows("10.0.0.2")


def test_less_than_one_in_a_second_still_allows_one() -> None:
    clock = Clock()
    rate = ArrivalRate(0.1, clock)
    assert [rate.allows("10.0.0.1") for _ in range(2)] == [True, False]
    clock.seconds = 10
    assert rate.allows("10.0.0.1")


def test_no_limit_remembers_nobody() -> None:
    rate = ArrivalRate(0, Clock())
    assert all(rate.allows(f"10.0.0.{number}") for number in range(200))
    assert not rate._left


def test_the_memory_of_many_addresses_is_bounded() -> None:
    rate = ArrivalRate(1, Clock())
    for number in range(MOST_ADDRESSES + 10):
        rate.allows(str(number))
    assert len(rate._left) == MOST_ADDRESSES
