"""The Workers pages: who lives, what each runs, and what became of the jobs of lost ones."""

import time

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aerodash import engines
from aerodash.auth import ALL_SCOPES, Actor
from aerodash.ids import ProjectId
from aerodash.models import Project
from jobs_admin import services, worker_figures
from jobs_admin.engine.contract import LeasedJob, Lost, WorkerInfo
from jobs_admin.models import Job, Worker
from tests.pages.jobs_cast import HTMX, INES, enqueue, settle
from tests.pages.sockets import Socket

KEY = Actor(kind="key", id="9", label="key shop-api", scopes=ALL_SCOPES)


def url(project: Project, rest: str = "") -> str:
    return f"/p/{project.slug}/workers{rest}"


def rows(text: str) -> list[str]:
    return [part.split('"')[0] for part in text.split('data-row="')[1:]]


def row(text: str, id: str) -> str:
    return text.split(f'data-row="{id}"')[1].split("</tr>")[0]


def lease(
    project: Project, id: str, *, host: str = "mailer", limit: int = 1, wait_s: float = 5, lease_s: float = 60
) -> list[LeasedJob]:
    return engines.run(
        services.lease(
            ProjectId(project.pk), KEY, types=None, limit=limit, lease_s=lease_s, wait_s=wait_s,
            worker=WorkerInfo(id, host, 11, "2026.11.24"),
        )
    )  # fmt: skip


def silent(project: Project, id: str, seconds: int = 120) -> None:
    """This worker was last heard so long ago."""
    at_ms = time.time_ns() // 1_000_000 - seconds * 1000
    Worker.objects.filter(project=project, worker_id=id).update(last_seen_at_ms=at_ms)


def die(project: Project, id: str, reason: str = "exit code -9") -> None:
    engines.run(services.worker_lost(ProjectId(project.pk), KEY, lost=Lost(id, reason)))


def test_it_works(owner_page: Client, project: Project) -> None:
    jobs = [enqueue(project), enqueue(project, "generate-report")]
    lease(project, "w1", limit=2)
    lease(project, "w2", host="reporter", wait_s=0)

    page = owner_page.get(url(project))

    assert page.status_code == 200
    assert rows(page.text) == ["w1", "w2"]
    assert "2 alive; 2 jobs in the hands of 1" in page.text
    busy, idle = row(page.text, "w1"), row(page.text, "w2")
    assert all(f"/jobs/{job}" in busy for job in jobs)
    assert "alive" in busy
    assert "2026.11.24" in busy
    assert "data-since" in busy
    assert "waits for jobs" in idle
    assert 'reporter<span class="ad-muted">:11</span>' in idle


def test_new_project_says_how_a_worker_gets_here(owner_page: Client, project: Project) -> None:
    page = owner_page.get(url(project)).text

    assert "No worker has asked for jobs" in page
    assert "No worker is alive" not in page
    assert "aerodash_sdk.worker" in page


def test_worker_that_died_comes_first_with_what_became_of_its_jobs(
    owner_page: Client, project: Project
) -> None:
    again, lost = enqueue(project), enqueue(project)
    lease(project, "dead", limit=2)
    die(project, "dead", "exit code <-9>")
    done, waits = lease(project, "heir", limit=2)
    settle(project, done, "completed")
    assert {done.id, waits.id} == {again, lost}

    page = owner_page.get(url(project)).text
    one = owner_page.get(url(project, "/dead")).text

    assert rows(page) == ["dead", "heir"]
    assert "died" in page
    assert "exit code &lt;-9&gt;" in page
    assert "Of the 2 jobs that it lost, 1 completed since, 1 runs again now." in one
    assert one.count("lost with the worker") == 3, "each run, and their number"
    assert "completed" in owner_page.get(url(project, "/heir")).text


def test_silent_worker_with_jobs_is_lost_and_one_without_has_stopped(
    owner_page: Client, project: Project
) -> None:
    enqueue(project)
    lease(project, "mute")
    lease(project, "done", wait_s=0)
    silent(project, "mute")
    silent(project, "done")

    page = owner_page.get(url(project)).text

    assert rows(page) == ["mute", "done"]
    assert "No worker is alive." in page
    assert "1 job still waits for the lease to run out." in page
    assert "lost" in row(page, "mute")
    assert "stopped" in row(page, "done")
    assert "It stopped, or waits no more" in owner_page.get(url(project, "/done")).text
    assert "1 job of it waits until the lease runs out" in owner_page.get(url(project, "/mute")).text


def test_silent_worker_whose_leases_ran_out_is_lost(owner_page: Client, project: Project) -> None:
    job_id = enqueue(project)
    lease(project, "mute")
    Job.objects.filter(pk=job_id).update(lease_expires_at_ms=1)
    engines.run(services.sweep())
    silent(project, "mute", 30)

    page = owner_page.get(url(project)).text
    one = owner_page.get(url(project, "/mute")).text

    assert "The job that it lost waits to run again." in page
    assert "1 lease ran out" in page
    assert "The job that it lost waits to run again." in one


def test_no_worker_says_how_many_jobs_wait(owner_page: Client, project: Project) -> None:
    lease(project, "gone", wait_s=0)
    silent(project, "gone")
    enqueue(project)

    assert "1 pending job waits for one." in owner_page.get(url(project)).text


def test_filters_are_in_the_url(owner_page: Client, project: Project) -> None:
    enqueue(project, "generate-report")
    lease(project, "w1", host="reporter")
    lease(project, "w2", wait_s=0)
    lease(project, "w3", wait_s=0)
    silent(project, "w3")

    def found(query: str) -> list[str]:
        return rows(owner_page.get(url(project, query)).text)

    assert found("?state=alive") == ["w2", "w1"], "by name"
    assert found("?state=stopped") == ["w3"]
    assert found("?q=REPORTER") == ["w1"]
    assert found("?q=generate") == ["w1"]
    assert found("?state=lost") == []
    assert "No worker is lost" in owner_page.get(url(project, "?state=lost")).text
    assert "No worker like “&lt;x”" in owner_page.get(url(project, "?q=%3Cx")).text
    for query in ("?state=dozing", "?q=%00"):
        for headers in ({}, HTMX):
            assert owner_page.get(url(project, query), headers=headers).status_code == 400


def test_pages_walk_all_workers(owner_page: Client, project: Project, monkeypatch) -> None:
    monkeypatch.setattr("jobs_admin.views.workers.PAGE", 2)
    for number in range(3):
        lease(project, f"w{number}", wait_s=0)

    first = owner_page.get(url(project)).text
    second = owner_page.get(
        url(project, "?after=" + first.split('rel="next"')[0].split("?after=")[-1].split('"')[0])
    ).text

    assert [rows(first), rows(second)] == [["w0", "w1"], ["w2"]]
    assert "2 of 3" in first
    assert 'rel="prev"' in second


def test_fragment_keeps_rows_in_place_and_tells_of_others(owner_page: Client, project: Project) -> None:
    for id in ("w1", "w2", "w3"):
        lease(project, id, wait_s=0)
    silent(project, "w1")

    part = owner_page.get(url(project, "?state=alive&shown=w2,w1,nobody"), headers=HTMX).text

    assert "<html" not in part
    assert rows(part) == ["w2", "w1"]
    assert "is-gone" in row(part.replace('data-row="w1" class="is-gone"', 'data-row="w1"is-gone'), "w1")
    assert "1 other worker came up: show" in part


def test_ids_may_be_any_text(owner_page: Client, project: Project) -> None:
    lease(project, "a/b <c>", wait_s=0)

    page = owner_page.get(url(project)).text

    assert f'href="{url(project, "/a/b%20%3Cc%3E")}"' in page
    assert owner_page.get(url(project, "/a/b%20%3Cc%3E")).status_code == 200
    assert owner_page.get(url(project, "/nobody")).status_code == 404
    assert owner_page.get(url(project, "/a%00b")).status_code == 404


def test_runs_are_those_of_the_worker_alone(
    owner_page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id in ("w1", "w2", "w1"):
        enqueue(project)
        [job] = lease(project, id)
        settle(project, job, "failed", error_type="Busy", error_message=f"of {id}", final=True)

    page = owner_page.get(url(project, "/w1")).text

    assert page.count("Busy: of w1") == 2
    assert "of w2" not in page
    assert "2 failed" in page
    monkeypatch.setattr(worker_figures, "RUNS_LOOKED_AT", 1)
    part = owner_page.get(url(project, "/w1")).text
    assert part.count("Busy: of w1") == 1
    assert "of the newest, 1 failed" in part


def test_runs_of_old_jobs_are_found_by_the_types_that_it_runs(
    owner_page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, held = enqueue(project), enqueue(project)
    [job] = lease(project, "w1")
    settle(project, job, "completed")
    assert [one.id for one in lease(project, "w1")] == [held]
    enqueue(project, "other")
    [job] = lease(project, "w2")
    settle(project, job, "completed")
    monkeypatch.setattr(worker_figures, "RUNS_LOOKED_AT", 1)

    assert f"/jobs/{old}" in owner_page.get(url(project, "/w1")).text


def test_viewer_may_look_and_stranger_gets_a_404(
    viewer_page: Client, stranger_page: Client, project: Project
) -> None:
    lease(project, "w1", wait_s=0)

    assert rows(viewer_page.get(url(project)).text) == ["w1"]
    assert viewer_page.get(url(project, "/w1")).status_code == 200
    assert stranger_page.get(url(project)).status_code == 404
    assert stranger_page.get(url(project, "/w1")).status_code == 404


def test_workers_and_runs_of_other_projects_do_not_show(owner_page: Client, project: Project) -> None:
    other = Project.objects.create(slug=f"{project.slug}-workers", name="Other")
    enqueue(other, "theirs")
    [job] = lease(other, "w1")
    settle(other, job, "completed")
    lease(project, "w1", wait_s=0)

    assert "theirs" not in owner_page.get(url(project, "/w1")).text
    assert rows(owner_page.get(url(project)).text) == ["w1"]
    assert rows(owner_page.get(url(project)).text) == ["w1"]


def test_number_of_queries_does_not_grow_with_the_workers(project: Project) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            worker_figures.roll(ProjectId(project.pk), INES, since=time.monotonic())
        return len(captured)

    lease(project, "w0", wait_s=0)
    silent(project, "w0")
    few = queries()
    for number in range(1, 10):
        enqueue(project)
        lease(project, f"w{number}")

    assert queries() == few <= 5


async def test_what_a_worker_takes_is_pushed(owner_page: Client, project: Project) -> None:
    await sync_to_async(lease)(project, "w1", wait_s=0)
    for query in (f"project={project.slug}&page=workers", f"project={project.slug}&page=worker&worker=w1"):
        opened = Socket(owner_page, query)
        assert await opened.connect() is None
        await opened.say({"nonce": "test-nonce-1234", "shown": ["w1"], "refresh": 1})
        job_id = await sync_to_async(enqueue)(project)
        await sync_to_async(lease)(project, "w1")
        content = ""
        while f"/jobs/{job_id}" not in content:
            content = (await opened.frame()).get("content", "")
        await opened.disconnect()
