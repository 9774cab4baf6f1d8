"""When slots are: in plain time, across the hours that clocks skip and repeat, and after a keeper was away."""

import itertools
import zoneinfo
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerodash.errors import InvalidInput
from jobs_admin import cron

NOW_MS = 1_800_000_000_000  # 15 January 2027, 08:00 UTC
BERLIN = "Europe/Berlin"


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def after(line: str, timezone: str, start: str, number: int) -> list[str]:
    """The next slots, as the zone's clocks show them."""
    zone = UTC if timezone == "UTC" else zoneinfo.ZoneInfo(timezone)
    slots = cron.following(cron.Timing(line, timezone), ms(start))
    return [
        datetime.fromtimestamp(slot / 1000, zone).isoformat(timespec="minutes")
        for slot in itertools.islice(slots, number)
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("*/20 * * * *", ["2027-01-15T08:20+00:00", "2027-01-15T08:40+00:00"]),
        ("0 9-17/4 * * 1-5", ["2027-01-15T09:00+00:00", "2027-01-15T13:00+00:00"]),
        ("0 0 1,15 * *", ["2027-02-01T00:00+00:00", "2027-02-15T00:00+00:00"]),
        ("30 4 13 * FRI", ["2027-01-22T04:30+00:00", "2027-01-29T04:30+00:00"]),  # either day, as cron has it
        ("0 0 L feb *", ["2027-02-28T00:00+00:00", "2028-02-29T00:00+00:00"]),
        ("0 12 29 2 *", ["2028-02-29T12:00+00:00", "2032-02-29T12:00+00:00"]),
        ("0 0 * * 7", ["2027-01-17T00:00+00:00", "2027-01-24T00:00+00:00"]),
    ],
)
def test_slots_of_a_line(line, expected):
    assert after(line, "UTC", "2027-01-15T08:00+00:00", 2) == expected


def test_a_slot_at_the_instant_itself_is_not_after_it():
    assert after("0 8 * * *", "UTC", "2027-01-15T08:00+00:00", 1) == ["2027-01-16T08:00+00:00"]
    assert after("0 8 * * *", "UTC", "2027-01-15T07:59:59.999+00:00", 1) == ["2027-01-15T08:00+00:00"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # The clocks jump from 2 to 3: a fixed time comes when they have jumped, once.
        ("30 2 * * *", ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
        ("15,30 2 * * *", ["2026-03-29T03:00+02:00", "2026-03-30T02:15+02:00"]),
        ("0 2,3 * * *", ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"]),
        # A line with a star goes by what the clock shows.
        ("0 * * * *", ["2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00"]),
        ("*/30 2 * * *", ["2026-03-30T02:00+02:00", "2026-03-30T02:30+02:00"]),
    ],
)
def test_an_hour_that_the_clocks_skip(line, expected):
    assert after(line, BERLIN, "2026-03-29T00:30+01:00", 2) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # The clocks show 2 to 3 twice: a fixed time comes the first time.
        ("30 2 * * *", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        ("0 * * * *", ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]),
        ("*/30 2 * * *", ["2026-10-25T02:00+02:00", "2026-10-25T02:30+02:00"]),
    ],
)
def test_an_hour_that_the_clocks_repeat(line, expected):
    assert after(line, BERLIN, "2026-10-25T01:30+02:00", 2) == expected


def test_in_the_second_pass_of_a_repeated_hour_a_fixed_time_is_over():
    """Asked then, cronsim answers with the first pass, which is past."""
    assert after("45 2 * * *", BERLIN, "2026-10-25T02:15+01:00", 1) == ["2026-10-26T02:45+01:00"]


def test_a_midnight_that_no_clock_shows():
    expected = ["2026-03-09T00:00-04:00", "2026-03-09T00:30-04:00"]
    assert after("*/30 0 * * *", "America/Havana", "2026-03-07T12:00-05:00", 2) == expected


@given(
    line=st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 2,3 * * *", "15 1-3 * * *", "0 */2 * * SUN"]),
    timezone=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
    start=st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1)),
)
@settings(max_examples=40, deadline=None)
def test_slots_go_on_the_same_wherever_one_begins(line, timezone, start):
    """The keeper asks anew after each slot; what it gets must not depend on when it asked before."""
    timing = cron.Timing(line, timezone)
    begin = int(start.replace(tzinfo=UTC).timestamp() * 1000)
    slots = list(itertools.islice(cron.following(timing, begin), 12))
    assert slots == sorted(set(slots))
    assert slots[0] > begin
    assert [next(cron.following(timing, slot)) for slot in slots[:-1]] == slots[1:]
    between = (slots[4] + slots[5]) // 2
    assert next(cron.following(timing, between)) == slots[5]


def test_every_so_often_counts_from_the_anchor():
    timing = cron.Timing(every_ms=7_000, anchor_ms=NOW_MS)
    assert list(itertools.islice(cron.following(timing, NOW_MS), 2)) == [NOW_MS + 7_000, NOW_MS + 14_000]
    assert next(cron.following(timing, NOW_MS + 7_000)) == NOW_MS + 14_000
    assert next(cron.following(timing, NOW_MS + 6_999)) == NOW_MS + 7_000


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("* * * *", "cron must have five fields (minute, hour, day-of-month, month, day-of-week); '* * * *' has 4."),
        ("", "cron must have five fields (minute, hour, day-of-month, month, day-of-week); '' has 0."),
        ("* 24 * * *", "cron: '24' is not a valid hour field."),
        ("* * 0 * *", "cron: '0' is not a valid day-of-month field."),
        ("* * * 13 *", "cron: '13' is not a valid month field."),
        ("* * * * 5-2", "cron: '5-2' is not a valid day-of-week field."),
        ("*/0 * * * *", "cron: '*/0' is not a valid minute field."),
        ("* * * * \u017fun", "cron: '\u017fun' is not a valid day-of-week field."),
        ("0 0 30 2 *", "cron: no day of the next 50 years matches '0 0 30 2 *'."),
        ("0 0 31 4,6,9,11 *", "cron: no day of the next 50 years matches '0 0 31 4,6,9,11 *'."),
    ],
)  # fmt: skip
def test_a_line_that_is_none_gets_one_sentence(line, sentence):
    with pytest.raises(InvalidInput) as refused:
        cron.check(line, BERLIN, now_ms=NOW_MS)
    assert (refused.value.reason, refused.value.message) == ("invalid_cron", sentence)


@given(line=st.text(st.sampled_from("0123456789*/-,#LW SUNJANé²"), max_size=128))
@settings(max_examples=100, deadline=None)
def test_any_line_is_a_schedule_or_refused(line):
    reason = ""
    try:
        cron.check(line, BERLIN, now_ms=NOW_MS)
    except InvalidInput as refused:
        reason = refused.reason
    assert reason == "invalid_cron" or next(cron.following(cron.Timing(line, BERLIN), NOW_MS)) > NOW_MS


@pytest.mark.parametrize(
    "timezone", ["", "Europe", "Europe/Bonn", "../../etc/passwd", "/etc/passwd", "\0", "utc", "localtime"]
)
def test_an_unknown_time_zone(timezone):
    with pytest.raises(InvalidInput) as refused:
        cron.check("* * * * *", timezone, now_ms=NOW_MS)
    assert refused.value.reason == "unknown_timezone"


EVERY_10_MIN = cron.Timing(every_ms=600_000, anchor_ms=NOW_MS)


@pytest.mark.parametrize("missed", ["skip", "one", "all"])
@pytest.mark.parametrize("late_ms", [-1_000, 0, 1, 60_000])
def test_what_is_on_time_is_enqueued_whatever_the_policy(missed, late_ms):
    due = cron.due(EVERY_10_MIN, missed, NOW_MS + 600_000, NOW_MS + 600_000 + late_ms)
    assert due == cron.Due((NOW_MS + 600_000,), NOW_MS + 1_200_000)


@pytest.mark.parametrize("missed", ["skip", "one", "all"])
def test_what_is_not_due_yet_waits(missed):
    due = cron.due(EVERY_10_MIN, missed, NOW_MS + 600_000, NOW_MS + 598_999)
    assert due == cron.Due((), NOW_MS + 600_000)


@pytest.mark.parametrize(
    ("missed", "slots"), [("skip", ()), ("one", (600_000,)), ("all", (600_000, 1_200_000, 1_800_000))]
)
def test_what_was_missed_goes_by_the_policy(missed, slots):
    due = cron.due(EVERY_10_MIN, missed, NOW_MS + 600_000, NOW_MS + 2_000_000)
    assert due == cron.Due(tuple(NOW_MS + slot for slot in slots), NOW_MS + 2_400_000)


def test_a_slot_that_is_on_time_makes_up_for_those_before():
    due = cron.due(EVERY_10_MIN, "one", NOW_MS + 600_000, NOW_MS + 1_830_000)
    assert due == cron.Due((NOW_MS + 1_800_000,), NOW_MS + 2_400_000)


def test_of_many_slots_the_rest_comes_with_the_next_look():
    every_second = cron.Timing(every_ms=1_000, anchor_ms=NOW_MS)
    due = cron.due(every_second, "all", NOW_MS + 1_000, NOW_MS + 3_600_000, most=1_000)
    assert (len(due.slots), due.slots[0], due.slots[-1]) == (1_000, NOW_MS + 1_000, NOW_MS + 1_000_000)
    assert due.next_at_ms == NOW_MS + 1_001_000


def test_years_of_missed_slots_are_skipped_without_a_walk():
    every_second = cron.Timing(every_ms=1_000, anchor_ms=NOW_MS)
    now = NOW_MS + 10 * 365 * 86_400_000
    due = cron.due(every_second, "skip", NOW_MS + 1_000, now)
    assert due.slots == tuple(range(now - 60_000, now + 1_001, 1_000))
    due = cron.due(cron.Timing("* * * * *", BERLIN), "one", NOW_MS + 60_000, now)
    assert len(due.slots) == 2


def test_the_next_slot_may_be_forty_years_off():
    """The 29th of February is a Monday every 28 years, but 2100 has none."""
    timing = cron.Timing("0 0 * 2 MON#5")
    last = ms("2072-02-29T00:00+00:00")
    assert cron.due(timing, "one", last, last) == cron.Due((last,), ms("2112-02-29T00:00+00:00"))
