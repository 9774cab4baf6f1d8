"""The pages of batches: the list, one batch with its progress, and what can be done to it as a whole."""

import re
from html import unescape

import pytest
from asgiref.sync import sync_to_async
from django.test import Client

from aerodash import engines
from aerodash.ids import ProjectId
from aerodash.models import AuditEntry, Project
from jobs_admin import batches
from jobs_admin.engine.contract import NewJob
from jobs_admin.models import Batch, Job
from jobs_admin.views import batch as batch_page
from tests.pages.jobs_cast import INES, add, lease, settle
from tests.pages.test_live import push
from tests.pages.watching import watching


def make(project: Project, name: str = "spring letters", then: NewJob | None = None, jobs: int = 0) -> str:
    id = engines.run(batches.create(ProjectId(project.pk), INES, name=name, on_complete=then))
    for _ in range(jobs):
        add(project, NewJob("send-email", '{"n":1}', 7, batch=id, max_retries=0))
    return id


def seal(project: Project, id: str) -> None:
    engines.run(batches.seal(ProjectId(project.pk), INES, batch=id))


def end(project: Project, outcome: str = "completed", **said: object) -> str:
    """Run the next job of any batch to its end; its id."""
    job = lease(project)
    settle(project, job, outcome, **said)
    return job.id


def url(project: Project, rest: str = "") -> str:
    return f"/p/{project.slug}/batches{rest}"


def text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def parts(page: str) -> list[tuple[str, float, float]]:
    """The parts of the first bar on the page: status, where each begins, how wide it is."""
    found = re.search(r'<svg class="ad-batch-bar".*?</svg>', page, re.DOTALL)[0]
    rects = re.findall(r'<rect class="is-([a-z]+)" x="([\d.]+)" y="0" width="([\d.]+)"', found)
    return [(status, float(x), float(width)) for status, x, width in rects if status != "rest"]


def test_list_shows_each_batch_with_its_progress(owner_page: Client, project: Project) -> None:
    make(project, "")
    id = make(project, jobs=4)
    end(project)
    end(project, "failed", error_message="boom")
    seal(project, id)

    page = owner_page.get(url(project))

    assert page.status_code == 200
    first, second = re.findall(r'<tr role="row" id="row-.*?</tr>', page.text, re.DOTALL)
    assert text(first).startswith("running spring letters 2 of 4 1 ")
    assert "open" in text(second)
    assert "0 of 0" in text(second)
    assert parts(page.text) == [("completed", 0, 250), ("failed", 250, 250), ("pending", 500, 500)]
    assert 'aria-label="1 completed, 1 failed, 2 pending"' in page.text
    assert f'href="/p/{project.slug}/jobs?batch={id}&amp;status=failed"' in page.text


def test_list_without_batches_says_how_one_is_made(owner_page: Client, project: Project) -> None:
    page = owner_page.get(url(project)).text

    assert "No batches yet" in page
    assert "client.queue.batch" in page


def test_list_goes_on_to_older_ones(
    owner_page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs_admin.views.batches.PAGE", 2)
    ids = [make(project, f"batch {n}") for n in range(3)]

    newest = owner_page.get(url(project)).text
    older = unescape(re.search(r'href="(\?before=[^"]*)" rel="next"', newest)[1])
    second = owner_page.get(url(project) + older).text

    assert re.findall(r'data-row="([^"]*)"', newest) == [ids[2], ids[1]]
    assert re.findall(r'data-row="([^"]*)"', second) == [ids[0]]
    assert "No older batches" in owner_page.get(url(project, f"?before={ids[0]}")).text
    assert owner_page.get(url(project, "?before=x")).status_code == 400


def test_page_shows_progress_failures_and_what_follows(owner_page: Client, project: Project) -> None:
    id = make(project, then=NewJob("report", "1", 1), jobs=3)
    end(project)
    failed = end(project, "failed", error_type="Busy", error_message="421 <too many>")

    page = owner_page.get(url(project, f"/{id}"))

    said = text(page.text)
    assert page.status_code == 200
    assert "2 of 3 ended, 66.7 %" in said
    assert "a second on average" in said
    assert "It is open: jobs can still get in" in said
    assert "a job of report, once the last of its jobs has ended" in said
    assert "Busy: 421 <too many>" in said
    assert f"/jobs/{failed}" in page.text
    assert f'href="/p/{project.slug}/jobs?batch={id}&amp;status=pending">1</a>' in page.text
    assert "by Ines" in said


def test_page_of_a_batch_that_has_ended_leads_to_what_followed(owner_page: Client, project: Project) -> None:
    id = make(project, then=NewJob("report", "1", 1), jobs=1)
    end(project)
    seal(project, id)
    [follow_up] = Job.objects.filter(project=project, type="report")

    page = owner_page.get(url(project, f"/{id}")).text

    assert "ended</span>" in page
    assert "took" in page
    assert f'href="/p/{project.slug}/jobs/{follow_up.pk}">report</a>' in page
    assert "Seal</button>" not in page
    assert "Cancel" not in page.split('id="batch-head"')[1].split("</section>")[0]
    follow_up.delete()
    assert "report, whose job is kept no more" in owner_page.get(url(project, f"/{id}")).text


def test_page_of_an_empty_batch_counts_nothing(owner_page: Client, project: Project) -> None:
    page = owner_page.get(url(project, f"/{make(project, '')}")).text

    assert "No jobs are in it yet." in page
    assert "nothing follows" in page
    assert "0 of 0 ended" in text(page)


def test_unknown_batch_and_stranger_get_a_404(
    owner_page: Client, stranger_page: Client, project: Project
) -> None:
    id = make(project)

    assert stranger_page.get(url(project, f"/{id}")).status_code == 404
    for other in ("0190cdd8-0000-7000-8000-000000000000", "none"):
        assert owner_page.get(url(project, f"/{other}")).status_code == 404
        assert owner_page.get(url(project, f"/{other}/cancel")).status_code == 404
        assert owner_page.post(url(project, f"/{other}/seal")).status_code == 404


def test_viewer_may_look_and_not_change(viewer_page: Client, project: Project) -> None:
    id = make(project, jobs=1)

    page = viewer_page.get(url(project, f"/{id}")).text

    assert "You may look, not change" in page
    assert "formaction" not in page
    for verb in ("seal", "cancel", "retry"):
        assert viewer_page.post(url(project, f"/{id}/{verb}"), {"count": "1"}).status_code == 403
    assert Job.objects.get(project=project).status == "pending"


def test_seal_lets_it_end(owner_page: Client, project: Project) -> None:
    id = make(project)
    answer = owner_page.post(url(project, f"/{id}/seal"), follow=True)

    assert "Sealed: no more jobs get in" in answer.text
    assert Batch.objects.get(pk=id).ended_at_ms is not None
    assert [entry.verb for entry in AuditEntry.objects.filter(project=project)] == ["batch.seal"]


def test_cancel_asks_with_exact_figures_and_a_sample(owner_page: Client, project: Project) -> None:
    id = make(project, jobs=3)
    end(project)
    running = lease(project)
    asked = owner_page.get(url(project, f"/{id}/cancel"))
    answer = owner_page.post(url(project, f"/{id}/cancel"), {"count": "2"}, follow=True)

    said = text(asked.text)
    assert "Cancel 2 jobs of this batch?" in said
    assert "Waiting 1 never start" in said
    assert "Running 1 asked to end" in said
    assert "Ended 1 stay as they are" in said
    assert "The batch is open" in said
    assert 'name="typed"' not in asked.text
    assert asked.text.index("ad-st-processing") < asked.text.index("ad-st-pending")
    assert "2 jobs cancelled, or asked to end where they run." in answer.text
    assert Job.objects.get(pk=running.id).cancel_requested_at_ms is not None
    [line] = AuditEntry.objects.filter(project=project)
    assert (line.verb, line.target, line.details["after"]) == ("batch.cancel", id, "2 jobs")


def test_cancel_of_a_set_that_moved_asks_again(owner_page: Client, project: Project) -> None:
    id = make(project, jobs=2)
    answer = owner_page.post(url(project, f"/{id}/cancel"), {"count": "3"})

    assert answer.status_code == 422
    assert "the batch moved on while you read" in answer.text
    assert "Cancel 2 jobs of this batch?" in answer.text
    assert Job.objects.filter(project=project, status="pending").count() == 2


def test_more_than_a_hundred_must_be_typed(
    owner_page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_page, "TYPED_ABOVE", 1)
    id = make(project, jobs=2)
    asked = owner_page.get(url(project, f"/{id}/cancel")).text
    wrong = owner_page.post(url(project, f"/{id}/cancel"), {"count": "2", "typed": "3"})
    right = owner_page.post(url(project, f"/{id}/cancel"), {"count": "2", "typed": "2"})

    assert 'Type <b class="ad-mono">2</b> to confirm' in asked
    assert wrong.status_code == 422
    assert "the number typed is another one" in wrong.text
    assert right.status_code == 302
    assert Job.objects.filter(project=project, status="cancelled").count() == 2


def test_retry_puts_failed_and_cancelled_members_back(owner_page: Client, project: Project) -> None:
    id = make(project, then=NewJob("report", "1", 1), jobs=3)
    end(project)
    end(project, "failed", error_message="boom")
    engines.run(batches.cancel(ProjectId(project.pk), INES, batch=id))
    seal(project, id)
    asked = text(owner_page.get(url(project, f"/{id}/retry")).text)
    answer = owner_page.post(url(project, f"/{id}/retry"), {"count": "2"}, follow=True)

    assert "Retry 2 jobs of this batch?" in asked
    assert "What followed the batch is not enqueued again." in asked
    assert "2 jobs put back." in answer.text
    assert Job.objects.filter(project=project, status="pending", batch_id=id).count() == 2
    nothing = owner_page.get(url(project, f"/{id}/retry"), follow=True)
    assert "No job of this batch has failed or was cancelled." in nothing.text


def test_cancel_of_a_batch_that_is_over_says_so(owner_page: Client, project: Project) -> None:
    answer = owner_page.get(url(project, f"/{make(project)}/cancel"), follow=True)

    assert "Every job of this batch has ended already." in answer.text


async def test_progress_is_pushed_to_the_open_pages(owner_page: Client, project: Project) -> None:
    id = await sync_to_async(make)(project, jobs=2)
    async with (
        watching(owner_page, project, "batches", first="0 of 2") as listed,
        watching(owner_page, project, "batch", first="#batch-head", batch=id) as opened,
    ):
        await sync_to_async(end)(project)
        assert "completed" in (await push(listed, "1 of 2"))["content"]
        assert "1 completed, 1 pending" in (await push(opened, "50"))["content"]
