"""The Jobs page: tabs, filters, rows, paging, and what the socket's fragment keeps in place."""

from django.test import Client

from aerodash import engines
from aerodash.auth import Actor
from aerodash.ids import ProjectId
from aerodash.models import Project
from jobs_admin import queries
from tests.pages.jobs_cast import HTMX, enqueue, lease, settle, url


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
    assert rows(owner_page.get(url(project, "?status=due")).text) == [report, email]
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
