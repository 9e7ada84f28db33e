import pytest

from videopath_hf.llm.retries import LONGEST_WAIT, is_retried, retry_after, wait_before

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After-Ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30),
        ({"Retry-After": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({}, None),
    ],
)
def test_the_time_a_server_asks_for_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_waits_double_with_jitter_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videopath_hf.llm.retries.FIRST_WAIT", 0.5)
    for attempt, longest in [(0, 0.5), (1, 1), (3, 4), (40, LONGEST_WAIT)]:
        waits = [wait_before(attempt, None) for _ in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest


def test_what_was_asked_for_is_never_undercut() -> None:
    waits = [wait_before(0, 3.0) for _ in range(50)]
    assert 3 <= min(waits) < max(waits) <= 3.5


def test_what_cannot_get_better_is_not_tried_again() -> None:
    assert [status for status in (400, 401, 404, 408, 409, 422, 429, 500, 503) if is_retried(status)] == [
        408,
        409,
        429,
        500,
        503,
    ]
