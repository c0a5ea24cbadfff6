from __future__ import annotations

from dicom_nodes.network.pace import Pace


def test_a_byte_a_second_is_too_slow_at_the_end_of_the_window() -> None:
    pace = Pace(slowest_bytes_per_second=100, window_seconds=10)
    assert [pace.is_too_slow(1, 1.0) for _ in range(10)] == [False] * 9 + [True]


def test_what_came_fast_before_does_not_excuse_the_next_window() -> None:
    pace = Pace(100, 10)
    assert not pace.is_too_slow(10_000_000, 10)
    assert pace.is_too_slow(10, 10)


def test_a_peer_that_the_node_kept_waiting_is_not_slow() -> None:
    pace = Pace(100, 10)
    assert not any(pace.is_too_slow(1, 0.0001) for _ in range(1000))


def test_a_new_message_is_judged_anew() -> None:
    pace = Pace(100, 10)
    assert not pace.is_too_slow(1, 9)
    pace.restart()
    assert not pace.is_too_slow(1, 9)


def test_without_a_limit_nothing_is_too_slow() -> None:
    assert not Pace(0, 1).is_too_slow(1, 1000)
