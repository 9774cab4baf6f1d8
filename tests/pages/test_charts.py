"""Charts: the figures in words, what the template writes for everybody, and the time that a page shows."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.template import Context, Template

from aerodash.console import charts
from aerodash.console.charts import Chart, Marker, Series
from aerodash.errors import InvalidInput

NOW = datetime(2026, 3, 18, 12, 4, tzinfo=UTC)
MINUTE = NOW.timestamp() - 300


def chart(**changes) -> Chart:
    said = {
        "id": "jobs",
        "title": "Jobs per minute",
        "unit": "",
        "at": [MINUTE + 60 * n for n in range(5)],
        "series": [
            Series("completed", [4400, 4310.5, None, 2800, 2768], tone="good"),
            Series("failed", [5, 4, None, 600, 612], tone="bad"),
        ],
        "markers": [Marker(MINUTE + 130, "flag new-mailer 25 → 100 %", "/p/shop/audit/7")],
    }
    return Chart(**(said | changes))


def written(shown: Chart) -> str:
    return Template("{% load aerodash_ui %}{% chart chart %}").render(Context({"chart": shown}))


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (None, "", "–"),
        (12_400, "", "12,400"),
        (12.34, "", "12.3"),
        (0.042, "", "0.04"),
        (99.25, "%", "99.2 %"),
        (1_572_864, "bytes", "1.5 MiB"),
        (840, "ms", "840 ms"),
        (1_240, "ms", "1.2 s"),
        (111, "s", "1 min 51 s"),
    ],
)
def test_figures_are_written_by_their_unit(value, unit, said):
    assert charts.figure(value, unit) == said


def test_series_of_another_length_than_the_moments_is_refused():
    with pytest.raises(ValueError, match="failed: 1 values for 5 moments"):
        chart(series=[Series("failed", [1])])


def test_no_two_lines_differ_by_colour_alone():
    lines = chart(series=[Series(str(n), [1] * 5, "good") for n in range(6)]).lines

    assert len({line.pattern for line in lines}) == 6


def test_dash_can_be_chosen():
    solid, dashed = chart(series=[Series("a", [1] * 5, dash=False), Series("b", [1] * 5, dash=True)]).lines

    assert (solid.pattern, bool(dashed.pattern)) == ("", True)


def test_everything_is_said_to_those_who_cannot_see_it():
    page = written(chart())

    label = re.search(r'role="img" aria-label="([^"]+)"', page)
    assert label
    assert label[1] == (
        "Jobs per minute from 11:59 to 12:03 UTC. completed: 2,768 at the end, lowest 2,768, highest 4,400. "
        "failed: 612 at the end, lowest 4, highest 612."
    )
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", page)
    assert [text(row) for row in rows] == [
        "12:03 2,768 612", "12:02 2,800 600", "12:01 – –", "12:00 4,310 4", "11:59 4,400 5",
    ]  # fmt: skip


def test_changes_are_links_with_their_times():
    page = written(chart())

    assert '<a href="/p/shop/audit/7">flag new-mailer 25 → 100 %</a>' in page
    assert 'title="2026-03-18 12:01:10 UTC">12:01</time>' in page


def test_changes_outside_are_left_out():
    shown = chart(
        markers=[Marker(MINUTE - 1, "before"), Marker(MINUTE + 3600, "after"), Marker(MINUTE + 299, "last")]
    )

    assert [mark.label for mark in shown.marks] == ["last"], (
        "the last moment stands for what came until the next"
    )
    assert "before" not in written(shown)


def test_gap_breaks_the_drawing_and_a_lone_moment_is_drawn():
    line = chart(series=[Series("a", [1, 2, None, 3, None])]).lines[0]

    assert len(line.segments) == 2
    assert len(set(line.segments[1].split())) == 1
    assert len(line.segments[1].split()) == 2


def test_chart_without_figures_says_so_and_draws_nothing():
    for shown in (chart(at=[], series=[Series("a", [])]), chart(series=[Series("a", [None] * 5)])):
        page = written(shown)
        assert "Nothing was counted in this time" in page
        assert "data-chart " not in page
        assert shown.summary.startswith("Jobs per minute: Nothing")


def test_script_gets_the_figures_and_html_is_escaped():
    page = written(
        chart(title='<b>"', series=[Series("</section>", [1, 2, None, 3.14159, 4])], range_url="?a=1&b=2")
    )

    data = re.search(r'data-figures="([^"]+)"', page)
    assert data
    figures = json.loads(data[1].replace("&quot;", '"').replace("&amp;", "&"))
    assert figures["series"] == [{"tone": "accent", "dash": "", "values": [1, 2, None, 3.142, 4]}]
    assert figures["zoom"] == "?a=1&b=2"
    assert len(figures["at"]) == 5
    assert "<b>" not in page.replace("<b data-now", "")
    assert "</section>" in page[-20:]


def test_table_of_many_moments_is_thinned_and_says_so():
    many = chart(at=[MINUTE + 10 * n for n in range(1080)], series=[Series("a", list(range(1080)))])

    assert len(many.rows) <= charts.TABLE_ROWS
    assert many.rows[0].figures == ("1,079",)
    assert "One moment in 11 of 1,080." in written(many)


def test_times_are_as_exact_as_they_need_to_be():
    def first(step_s: float) -> str:
        return chart(at=[MINUTE + step_s * n for n in range(30)], series=[Series("a", [1] * 30)]).first_at

    assert first(10) == "11:59:00"
    assert first(60) == "11:59"
    assert first(3600) == "2026-03-18 11:59"
    assert first(86_400) == "2026-03-18"


def test_window_is_the_last_hours_unless_something_else_is_asked_for():
    window = charts.window({}, now=NOW)

    assert (window.start_at, window.end_at) == (NOW - timedelta(hours=3), NOW)
    assert window.params() == {}
    assert window.words == "the last 3 h"
    assert charts.window({"range": "1h"}, now=NOW).params() == {"range": "1h"}


def test_window_of_a_zoom_says_itself_again():
    given = {"from": f"{NOW.timestamp() - 720:.0f}", "to": f"{NOW.timestamp():.0f}"}
    window = charts.window(given, now=NOW)

    assert window.is_zoomed
    assert window.params() == given
    assert window.words == "2026-03-18 11:52 to 12:04 UTC"


def test_window_takes_what_a_date_field_sends_as_utc():
    window = charts.window({"from": "2026-03-18T10:52", "to": "2026-03-18T11:04"}, now=NOW)

    assert window.start_at == datetime(2026, 3, 18, 10, 52, tzinfo=UTC)
    assert window.seconds == 720


def test_window_in_the_future_ends_now_and_a_narrow_one_is_widened():
    assert charts.window({"from": "2026-03-18T12:00", "to": "2027-01-01T00:00"}, now=NOW).end_at == NOW
    at = f"{NOW.timestamp() - 600:.0f}"
    assert (
        charts.window({"from": at, "to": f"{NOW.timestamp() - 599:.0f}"}, now=NOW).seconds
        == charts.SHORTEST_S
    )


@pytest.mark.parametrize(
    "given",
    [
        {"range": "soon"},
        {"from": "x", "to": "2026-03-18T11:00"},
        {"from": "2026-03-18T11:00"},
        {"from": "2026-03-18T11:00", "to": "2026-03-18T10:00"},
        {"from": "99999999999999999999", "to": "1"},
        {"from": "2027-01-01T00:00", "to": "2027-01-02T00:00"},
    ],
)
def test_window_that_is_none_is_refused(given):
    with pytest.raises(InvalidInput):
        charts.window(given, now=NOW)


def test_picker_keeps_the_rest_of_the_address():
    page = Template("{% load aerodash_ui %}{% ranges window url %}").render(
        Context({"window": charts.window({"range": "1h"}, now=NOW), "url": "/p/shop/types/mail?show=all"})
    )

    assert 'href="/p/shop/types/mail?show=all&amp;range=24h"' in page
    assert 'href="/p/shop/types/mail?show=all">3 h' in page, "what is shown unasked needs no word"
    assert re.search(r'range=1h" aria-current="true"', page)
    assert '<input type="hidden" name="show" value="all">' in page
    assert 'value="2026-03-18T11:04"' in page
