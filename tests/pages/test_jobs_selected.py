"""Retry and cancel of chosen jobs: a preview with its own address, and exactly those."""

import re
from urllib.parse import urlencode

from django.test import Client

from aerodash.auth import Actor
from aerodash.ids import ProjectId
from aerodash.models import Project
from jobs_admin import queries
from jobs_admin.views.selected import CHOSEN_MAX
from tests.pages.jobs_cast import enqueue, lease, settle, url


def failed(project: Project) -> str:
    enqueue(project, max_retries=0)
    job = lease(project)
    settle(project, job, "failed", error_type="Busy")
    return job.id


def chosen(project: Project, act: str, *ids: str, **more: str) -> str:
    return url(project, f"/selected?{urlencode({'act': act, 'job': ids, **more}, doseq=True)}")


def seen(text: str) -> str:
    return re.search(r'name="seen" value="(\w+)"', text)[1]


def test_retry_asks_first_and_then_takes_those_to_which_it_applies(
    owner_page: Client, project: Project, project_id: ProjectId, actor: Actor
) -> None:
    ended, also, waits = failed(project), failed(project), enqueue(project)
    address = chosen(project, "retry", ended, also, waits, next=url(project, "?status=failed"))

    asked = owner_page.get(address)
    assert "Retry 2 jobs?" in asked.text
    assert "has not ended yet" in asked.text
    assert f'href="{url(project, "?status=failed")}"' in asked.text
    assert queries.counts(project_id, actor).failed == 2, "a look changes nothing"

    done = owner_page.post(address, {"seen": seen(asked.text)}, follow=True)
    assert done.redirect_chain == [(url(project, "?status=failed"), 302)]
    assert "2 jobs are pending again" in done.text
    assert queries.counts(project_id, actor).pending == 3


def test_cancel_takes_what_waits_and_asks_what_runs(
    owner_page: Client, project: Project, project_id: ProjectId, actor: Actor
) -> None:
    ended = failed(project)
    runs, waits = enqueue(project), enqueue(project, delay_s=60)
    assert lease(project).id == runs
    address = chosen(project, "cancel", runs, waits, ended)

    asked = owner_page.get(address).text
    assert "is failed already" in asked
    assert "Cancel 2 jobs?" in asked
    said = owner_page.post(address, {"seen": seen(asked)}, follow=True).text

    assert "2 jobs are cancelled or asked to end" in said
    counts = queries.counts(project_id, actor)
    assert (counts.cancelled, counts.processing, counts.failed) == (1, 1, 1)
    assert queries.finer_counts(project_id, actor).cancelling == 1


def test_set_that_moved_is_asked_about_again(
    owner_page: Client, project: Project, project_id: ProjectId, actor: Actor
) -> None:
    one, other = enqueue(project), enqueue(project)
    address = chosen(project, "cancel", one, other)
    before = seen(owner_page.get(address).text)
    settle(project, lease(project), "completed")

    again = owner_page.post(address, {"seen": before})

    assert again.status_code == 422
    assert "changed meanwhile" in again.text
    assert "Cancel 1 job?" in again.text
    assert queries.counts(project_id, actor).cancelled == 0


def test_none_to_which_it_applies_is_said_and_has_no_button(owner_page: Client, project: Project) -> None:
    page = owner_page.get(chosen(project, "retry", enqueue(project)))

    assert "None of the chosen jobs can be retried" in page.text
    assert "<button" not in page.text.split('class="ad-dlg')[1].split("</form>")[0]


def test_jobs_of_others_and_unknown_ones_are_left_out(owner_page: Client, project: Project) -> None:
    other = Project.objects.create(slug=f"{project.slug}-other", name="Other")

    page = owner_page.get(chosen(project, "cancel", enqueue(project), enqueue(other), "nonsense")).text

    assert "Cancel 1 job?" in page
    assert re.search(r"<dt>Gone meanwhile</dt><dd>2", page)


def test_bad_requests_are_pages_that_say_so(owner_page: Client, project: Project) -> None:
    job = enqueue(project)
    assert owner_page.get(chosen(project, "delete", job)).status_code == 400
    assert owner_page.get(chosen(project, "retry", *map(str, range(CHOSEN_MAX + 1)))).status_code == 400
    assert owner_page.delete(chosen(project, "retry", job)).status_code == 405


def test_the_way_back_stays_here(owner_page: Client, project: Project) -> None:
    page = owner_page.get(chosen(project, "cancel", enqueue(project), next="https://evil.example/")).text

    assert "evil.example" not in page.split("</header>")[-1]


def test_viewer_is_refused_and_stranger_sees_nothing(
    viewer_page: Client, stranger_page: Client, project: Project, project_id: ProjectId, actor: Actor
) -> None:
    address = chosen(project, "cancel", enqueue(project))

    for call in (viewer_page.get, viewer_page.post):
        assert call(address).status_code == 403
    assert stranger_page.get(address).status_code == 404
    assert queries.counts(project_id, actor).pending == 1
