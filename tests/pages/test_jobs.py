"""The Jobs page: tabs, filters, rows, paging, and what the socket's fragment keeps in place."""

import re
import time
import uuid

import pytest
from django.test import Client

from aerodash import engines
from aerodash.auth import Actor
from aerodash.errors import InvalidInput
from aerodash.ids import ProjectId
from aerodash.models import Project
from jobs_admin import batches, filtered, queries
from jobs_admin.engine.contract import NewJob, Unique
from tests.pages.jobs_cast import HTMX, add, enqueue, lease, pause, settle, url


def rows(text: str) -> list[str]:
    return [part.split('"')[0] for part in text.split('data-row="')[1:]]


def test_it_works(owner_page: Client, project: Project) -> None:
    waits = enqueue(project, "generate-report")
    failed = enqueue(project, max_retries=0)
    settle(
        project,
        lease(project),
        "failed",
        error_type="Busy",
        error_message="421 too many <connections>\nsecond line",
    )

    page = owner_page.get(url(project))

    assert page.status_code == 200
    assert rows(page.text) == [failed, waits]
    assert 'All<span class="ad-n">2</span>' in page.text
    assert 'Failed<span class="ad-n">1</span>' in page.text
    assert "421 too many &lt;connections&gt;" in page.text
    assert "second line" not in page.text
    assert f'formaction="{url(project, f"/{failed}/retry")}"' in page.text
    assert f'formaction="{url(project, f"/{waits}/cancel")}"' in page.text


def test_new_project_says_how_a_job_gets_here(owner_page: Client, project: Project) -> None:
    page = owner_page.get(url(project)).text

    assert "No jobs yet" in page
    assert "/v1/queue/enqueue" in page


def test_filters_are_in_the_url(owner_page: Client, project: Project) -> None:
    email, report = enqueue(project, "send-email"), enqueue(project, "generate-report")
    later = enqueue(project, "send-email", delay_s=3600)

    assert rows(owner_page.get(url(project, "?type=send-email")).text) == [later, email]
    assert rows(owner_page.get(url(project, "?status=due")).text) == [email, report]
    assert rows(owner_page.get(url(project, "?status=scheduled&type=send-email")).text) == [later]
    nothing = owner_page.get(url(project, "?status=failed&type=send-email")).text
    assert "No job matches these filters" in nothing
    assert "1 scheduled" in nothing


def test_unknown_filter_is_a_page_that_says_so(owner_page: Client, project: Project) -> None:
    page = owner_page.get(url(project, "?status=sleeping"))

    assert page.status_code == 400
    assert "&#x27;sleeping&#x27; is not a status." in page.text
    assert 'aria-label="Console"' in page.text
    assert f'<a class="btn" href="{url(project)}">' in page.text, "the way out"


@pytest.mark.parametrize("query", ["status=sleeping", "tag=%00", f"tag={'t' * 65}"])
def test_filter_that_cannot_be_is_refused_wherever_it_is_asked(
    owner_page: Client, project: Project, query: str
) -> None:
    job_id = enqueue(project)

    for more in ("", f"&before={job_id}&shown={job_id}"):
        for headers in ({}, HTMX):
            assert owner_page.get(url(project, f"?{query}{more}"), headers=headers).status_code == 400


def test_figure_of_zero_is_text_and_any_other_leads_to_its_jobs(owner_page: Client, project: Project) -> None:
    enqueue(project)

    page = owner_page.get(url(project)).text

    assert '<a href="?status=due">1 due now</a>' in page
    assert "<span>0 cancelling</span>" in page


def test_waiting_goes_on_while_a_job_is_due(owner_page: Client, project: Project) -> None:
    enqueue(project)
    assert "data-since" in owner_page.get(url(project)).text
    settle(project, lease(project), "completed")
    assert "data-since" not in owner_page.get(url(project)).text


def test_older_and_newer_walk_all_jobs(owner_page: Client, project: Project) -> None:
    ids = [enqueue(project) for _ in range(25)][::-1]

    first = owner_page.get(url(project))
    older = owner_page.get(url(project, f"?before={ids[19]}"))
    back = owner_page.get(url(project, f"?after={ids[20]}"))

    assert rows(first.text) == ids[:20]
    assert "20 of 25" in first.text
    assert f"?before={ids[19]}" in first.text
    assert rows(older.text) == ids[20:]
    assert rows(back.text) == ids[:20]


def test_fragment_keeps_rows_in_place_and_counts_the_new_ones(owner_page: Client, project: Project) -> None:
    shown = [enqueue(project), enqueue(project)][::-1]
    enqueue(project)

    part = owner_page.get(url(project, f"?shown={','.join(shown)}"), headers=HTMX).text

    assert "<html" not in part
    assert rows(part) == shown
    assert "1 newer job: show" in part
    assert '<hx-partial hx-target="#tabs"' in part
    assert 'All<span class="ad-n">3</span>' in part


def test_row_that_matches_no_more_stays_struck_through(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    lease(project)

    part = owner_page.get(url(project, f"?status=pending&shown={job_id}"), headers=HTMX).text

    assert rows(part) == [job_id]
    assert "is-gone" in part
    assert "0 of 0" in part


def test_fragment_of_an_empty_page_brings_the_first_rows(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)

    assert rows(owner_page.get(url(project), headers=HTMX).text) == [job_id]


def test_retry_and_cancel_without_htmx_lead_back(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project, max_retries=0)
    settle(project, lease(project), "failed")

    retried = owner_page.post(
        url(project, f"/{job_id}/retry"), {"next": url(project, "?status=failed")}, follow=True
    )
    cancelled = owner_page.post(url(project, f"/{job_id}/cancel"))

    assert retried.redirect_chain == [(url(project, "?status=failed"), 302)]
    assert "is pending again" in retried.text
    assert cancelled["Location"] == url(project, f"/{job_id}")
    assert "Cancelled<span" in owner_page.get(url(project)).text
    assert 'Cancelled<span class="ad-n">1</span>' in owner_page.get(url(project)).text


def test_cancel_with_htmx_answers_what_was_done(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    lease(project)

    said = owner_page.post(url(project, f"/{job_id}/cancel"), headers=HTMX)

    assert said.status_code == 200
    assert '<hx-partial hx-target="#messages"' in said.text
    assert "its worker learns at the next heartbeat" in said.text
    assert "cancelling" in owner_page.get(url(project)).text


def test_retry_of_a_job_that_has_not_ended_is_refused(owner_page: Client, project: Project) -> None:
    said = owner_page.post(url(project, f"/{enqueue(project)}/retry"), headers=HTMX).text

    assert "has not ended yet" in said
    assert 'data-toast="error"' in said


def test_changes_need_a_post(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)

    assert owner_page.get(url(project, f"/{job_id}/cancel")).status_code == 405
    assert "1 due now" in owner_page.get(url(project)).text


def test_next_never_leads_to_another_site(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)

    response = owner_page.post(url(project, f"/{job_id}/cancel"), {"next": "https://evil.example/"})

    assert response["Location"] == url(project, f"/{job_id}")


def test_viewer_sees_disabled_controls_with_the_reason_and_is_refused_by_the_server(
    viewer_page: Client, project: Project, project_id: ProjectId, actor: Actor
) -> None:
    job_id = enqueue(project)

    page = viewer_page.get(url(project)).text
    refused = viewer_page.post(url(project, f"/{job_id}/cancel"))

    assert "You may look, not change: your role in" in page
    assert 'aria-disabled="true" aria-describedby="why">Cancel' in page
    assert "formaction" not in page
    assert refused.status_code == 403
    assert "You may not do this" in refused.text
    assert queries.counts(project_id, actor).pending == 1


def test_stranger_gets_a_404(stranger_page: Client, project: Project) -> None:
    job_id = enqueue(project)

    assert stranger_page.get(url(project)).status_code == 404
    assert stranger_page.post(url(project, f"/{job_id}/cancel")).status_code == 404


def test_job_of_another_project_is_neither_shown_nor_changed(
    owner_page: Client, project: Project, actor: Actor
) -> None:
    other = Project.objects.create(slug=f"{project.slug}-other", name="Other")
    job_id = enqueue(other)

    assert rows(owner_page.get(url(project, f"?shown={job_id}"), headers=HTMX).text) == []
    assert owner_page.get(url(project, f"/{job_id}")).status_code == 404
    assert "no such job" in owner_page.post(url(project, f"/{job_id}/cancel"), headers=HTMX).text
    assert queries.counts(ProjectId(other.pk), actor).pending == 1


def test_page_says_503_and_keeps_its_layout_when_the_engine_is_down(
    owner_page: Client, project: Project
) -> None:
    job_id = enqueue(project)

    with engines.replaced("jobs", None):  # as while the server starts or ends
        refused = owner_page.post(url(project, f"/{job_id}/cancel"))

    assert refused.status_code == 503
    assert refused["Retry-After"] == "1"
    assert "cannot be read or changed right now" in refused.text
    assert 'aria-label="Console"' in refused.text


def test_payloads_do_not_travel_with_the_list(owner_page: Client, project: Project) -> None:
    enqueue(project, payload=b'{"token": "hunter2"}')

    assert "hunter2" not in owner_page.get(url(project)).text


def tagged(project: Project, *tags: str, type: str = "send-email", **options: object) -> str:
    return add(project, NewJob(type, "1", 1, tags=tags, **options))


def test_tag_filter_lists_and_counts_its_jobs(owner_page: Client, project: Project) -> None:
    plain = enqueue(project)
    eu, both = tagged(project, "eu"), tagged(project, "eu", "vip", type="generate-report")
    later = tagged(project, "eu", delay_ms=3_600_000)

    page = owner_page.get(url(project, "?tag=eu")).text
    part = owner_page.get(url(project, f"?tag=eu&shown={both}"), headers=HTMX).text

    assert rows(page) == [later, both, eu]
    assert plain not in page
    assert 'All<span class="ad-n">3</span>' in page
    assert "2 due now" in page
    assert "1 scheduled" in page
    assert "3 of 3, counted at" in page
    assert '<a href="?status=pending&amp;tag=eu">' in page
    assert rows(owner_page.get(url(project, "?tag=eu&type=generate-report&status=due")).text) == [both]
    assert "1 newer job: show" in part


def test_tag_with_too_many_jobs_is_listed_and_says_that_it_is_not_counted(
    owner_page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [tagged(project, "eu") for _ in range(3)]
    monkeypatch.setattr(filtered, "COUNTED_MAX", 2)

    page = owner_page.get(url(project, "?tag=eu")).text

    assert rows(page) == jobs[::-1]
    assert "3 of those that match; more than 2 jobs are not counted by tag, batch or time" in page
    assert 'class="ad-n"' not in page
    assert '<a href="?status=due&amp;tag=eu">due now</a>' in page


def test_batch_filter_lists_its_jobs_and_can_be_removed(
    owner_page: Client, project: Project, project_id: ProjectId, actor: Actor
) -> None:
    enqueue(project)
    batch = engines.run(batches.create(project_id, actor, name="spring"))
    member = add(project, NewJob("send-email", "1", 1, batch=batch, tags=("eu",)))

    page = owner_page.get(url(project, f"?batch={batch}&status=due")).text

    assert rows(page) == [member]
    assert "1 of 1, counted at" in page
    assert f'batch <b class="ad-id">…{batch[-8:]}</b>' in page
    assert '<a href="?status=due" aria-label="Remove the batch filter">' in page
    assert rows(owner_page.get(url(project, f"?batch={batch}&tag=eu")).text) == [member]
    nothing = owner_page.get(url(project, f"?batch={uuid.uuid4()}&status=failed")).text
    assert "No job matches these filters" in nothing
    assert "status failed" in nothing


def test_tags_and_batches_of_other_projects_do_not_show(
    owner_page: Client, project: Project, actor: Actor
) -> None:
    other = Project.objects.create(slug=f"{project.slug}-tags", name="Other")
    batch = engines.run(batches.create(ProjectId(other.pk), actor))
    add(other, NewJob("send-email", "1", 1, batch=batch, tags=("eu",)))

    for query in ("?tag=eu", f"?batch={batch}"):
        page = owner_page.get(url(project, query)).text
        assert rows(page) == []
        assert 'All<span class="ad-n">0</span>' in page


def test_paused_type_is_marked_on_its_rows_and_above_them(owner_page: Client, project: Project) -> None:
    done = enqueue(project)
    settle(project, lease(project), "completed")
    waits, other = enqueue(project, delay_s=60), enqueue(project, "generate-report")
    pause(project, "send-email", "the provider answers <421>")

    page = owner_page.get(url(project)).text
    part = owner_page.get(url(project, f"?shown={other},{waits},{done}"), headers=HTMX).text

    for text in (page, part):
        row = {id: text.split(f'data-row="{id}"')[1].split("</tr>")[0] for id in (done, waits, other)}
        assert "ad-st-paused" in row[waits]
        assert "paused by Ines: the provider answers &lt;421&gt;" in row[waits]
        assert "ad-st-paused" not in row[done] + row[other]
        assert "was paused by Ines" in text
        assert "“the provider answers &lt;421&gt;”. 1 pending job waits until it is resumed." in text
    assert '<option value="send-email">2 jobs, paused</option>' in page
    assert '<option value="generate-report">1 jobs</option>' in page
    assert '<hx-partial hx-target="#paused"' in part


def test_pause_is_said_where_jobs_of_the_type_are_listed(owner_page: Client, project: Project) -> None:
    waits, report = tagged(project, "eu"), tagged(project, "us", type="generate-report")
    pause(project, "send-email")

    def is_said(query: str) -> bool:
        return "was paused by Ines" in owner_page.get(url(project, query)).text

    assert is_said("")
    assert is_said("?type=send-email")
    assert not is_said("?type=generate-report")
    assert is_said("?tag=eu")
    assert not is_said("?tag=us")
    assert rows(owner_page.get(url(project, "?tag=us")).text) == [report] != [waits]


def test_many_paused_types_are_named_on_one_line(owner_page: Client, project: Project) -> None:
    for number in range(5):
        enqueue(project, f"type-{number}")
        pause(project, f"type-{number}")

    page = owner_page.get(url(project)).text

    assert page.count("was paused by Ines") == 3
    assert "2 more types are paused: " in page
    assert all(f"?type=type-{number}" in page for number in range(5))


def test_retry_of_a_job_whose_unique_key_is_taken_says_so(owner_page: Client, project: Project) -> None:
    one = NewJob("send-email", "1", 1, max_retries=0, unique=Unique("k"))
    failed = add(project, one)
    settle(project, lease(project), "failed")
    add(project, one)

    said = owner_page.post(url(project, f"/{failed}/retry"), headers=HTMX).text

    assert "has its unique key" in said
    assert 'data-toast="error"' in said


def test_pending_jobs_in_the_order_of_their_next_run(owner_page: Client, project: Project) -> None:
    later = enqueue(project, delay_s=7200)
    sooner = enqueue(project, "generate-report", delay_s=60)
    waits = enqueue(project, priority=9)
    urgent = enqueue(project, priority=0)

    page = owner_page.get(url(project, "?status=pending&order=next-run")).text

    assert rows(page) == [waits, urgent, sooner, later]
    assert '<a href="?status=pending&amp;order=next-run" aria-current="true">Next run</a>' in page
    assert '<a href="?status=failed">' in page, "an order goes where it cannot be"
    typed = url(project, "?status=pending&type=send-email&order=next-run")
    assert rows(owner_page.get(typed).text) == [waits, urgent, later]
    assert rows(owner_page.get(url(project, "?status=due")).text) == [waits, urgent]
    assert rows(owner_page.get(url(project, "?status=scheduled")).text) == [sooner, later]


def test_next_runs_are_paged_also_where_many_are_due_at_once(
    owner_page: Client, project: Project, project_id: ProjectId, actor: Actor
) -> None:
    due_at_ms = time.time_ns() // 1_000_000 + 3_600_000
    jobs = [add(project, NewJob("send-email", "1", 1, due_at_ms=due_at_ms)) for _ in range(25)]

    first = owner_page.get(url(project, "?status=pending&order=next-run")).text
    older = re.search(r'href="([^"]+)" rel="next"', first)[1].replace("&amp;", "&")
    second = owner_page.get(url(project, older)).text

    assert rows(first) + rows(second) == sorted(jobs)
    assert 'rel="next"' not in second
    assert 'href="?status=pending&amp;order=next-run" rel="prev"' in second
    with pytest.raises(InvalidInput):
        queries.next_runs(project_id, actor, after="1-nonsense")


def test_rows_in_the_order_of_next_runs_stay_where_they_are(owner_page: Client, project: Project) -> None:
    waits, later = enqueue(project), enqueue(project, delay_s=60)
    lease(project)

    address = url(project, f"?status=pending&order=next-run&shown={waits},{later}")
    part = owner_page.get(address, headers=HTMX).text

    assert rows(part) == [waits, later]
    assert "is-gone" in part
    assert "1 has begun: show what is next" in part


@pytest.mark.parametrize(
    "query",
    ["order=oldest", "order=next-run", "status=failed&order=next-run", "status=pending&tag=a&order=next-run"],
)
def test_order_that_no_index_has_is_refused(owner_page: Client, project: Project, query: str) -> None:
    assert owner_page.get(url(project, f"?{query}")).status_code == 400


def test_pasted_id_leads_to_its_job_and_half_an_id_is_said_to_be_none(
    owner_page: Client, project: Project
) -> None:
    job_id = enqueue(project)

    assert owner_page.get(url(project, f"?id= {job_id.upper()} "))["Location"] == url(project, f"/{job_id}")
    assert "is no whole job id" in owner_page.get(url(project, f"?id={job_id[-8:]}")).text


def test_time_filter_lists_and_counts_what_was_enqueued_then(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    failed = enqueue(project, "generate-report", max_retries=0)
    settle(project, lease(project, "generate-report"), "failed")
    now = time.time()

    recent = owner_page.get(url(project, "?range=1h")).text
    typed = owner_page.get(url(project, "?range=24h&type=send-email")).text
    before = owner_page.get(url(project, f"?from={now - 9000:.0f}&to={now - 3000:.0f}")).text
    around = owner_page.get(url(project, f"?status=failed&from={now - 9000:.0f}&to={now + 60:.0f}")).text

    assert rows(recent) == [failed, job_id]
    assert "2 of 2, counted at" in recent
    assert 'Failed<span class="ad-n">1</span>' in recent
    assert '<option value="1h" selected>' in recent
    assert '<a href="?status=due&amp;range=1h">due now</a>' in recent, (
        "what would take too long has no figure"
    )
    assert rows(typed) == [job_id]
    assert rows(before) == []
    assert "No job matches these filters" in before
    assert 'aria-label="Remove the time filter"' in before
    assert rows(around) == [failed]


@pytest.mark.parametrize("query", ["range=sometimes", "from=yesterday&to=today", "from=20&to=10"])
def test_time_that_is_none_is_refused(owner_page: Client, project: Project, query: str) -> None:
    assert owner_page.get(url(project, f"?{query}")).status_code == 400


def test_rows_can_be_chosen_by_those_who_may_change_them(
    owner_page: Client, viewer_page: Client, project: Project
) -> None:
    job_id = enqueue(project)

    page = owner_page.get(url(project, "?status=pending")).text
    looks = viewer_page.get(url(project)).text

    box = f'form="chosen" name="job" value="{job_id}"'
    assert f'<form class="ad-listbar" id="chosen" action="{url(project, "/selected")}">' in page
    assert f'name="next" value="{url(project, "?status=pending")}"' in page
    assert "data-select>" in page.split(box)[1].split("</td>")[0]
    assert 'disabled aria-describedby="why"' in looks.split(box)[1].split("</td>")[0]
    assert "Retry…" not in looks
