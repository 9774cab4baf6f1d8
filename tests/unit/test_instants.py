"""Instants as programs read them."""

from datetime import datetime, timedelta, timezone

import pytest

from aerodash import instants


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_783_239_000_007, "2026-07-05T08:10:00.007Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_text_and_datetime_are_the_same_instant(at_ms: int, text: str) -> None:
    assert instants.text(at_ms) == text
    at = datetime.fromisoformat(text)
    assert instants.ms_of(at) == at_ms
    assert instants.of_ms(at_ms) == at
    assert instants.text_of(at) == text


def test_every_millisecond_survives_the_way_through_a_datetime() -> None:
    # A float of seconds times a thousand is off by one for some of them.
    for at_ms in (
        *range(1_783_239_000_000, 1_783_239_002_000),
        *range(instants.LAST_MS - 2_000, instants.LAST_MS),
    ):
        assert instants.ms_of(instants.of_ms(at_ms)) == at_ms


def test_a_zone_is_turned_into_utc_and_what_is_finer_goes() -> None:
    at = datetime(2026, 7, 5, 10, 10, 0, 7_999, tzinfo=timezone(timedelta(hours=2)))
    assert instants.text_of(at) == "2026-07-05T08:10:00.007Z"


def test_what_no_calendar_has_is_refused() -> None:
    with pytest.raises(OverflowError):
        instants.text(10**15)
