"""/p/<slug>/search: what is pasted leads to its page; else a list of what begins so, as long as one can be."""

import uuid

import pytest

from aerodash import engines, operations
from aerodash.console.views import search
from aerodash.ids import ProjectId
from cache_admin import flushes
from jobs_admin import batches, schedules, services
from tests.pages.cache_cast import HTMX, cache_away, put
from tests.pages.jobs_cast import INES, enqueue


@pytest.fixture
def url(project):
    return f"/p/{project.slug}/search"


def test_search_without_words_says_what_can_be_found(owner_page, url):
    response = owner_page.get(url)

    assert response.status_code == 200
    assert "Paste a job id" in response.text


def test_job_id_leads_to_the_job_however_it_was_copied(owner_page, project, url):
    id = enqueue(project)

    for written in (id, id.upper(), f"  {id}\n", id.replace("-", "")):
        response = owner_page.get(url, {"q": written})
        assert response.status_code == 302
        assert response["Location"] == f"/p/{project.slug}/jobs/{id}"


def test_batch_schedule_and_operation_are_found_by_all_of_their_names(owner_page, project, url):
    project_id = ProjectId(project.pk)
    batch = engines.run(batches.create(project_id, INES, name="nightly"))
    job = services.new_job("report", b"{}")
    engines.run(
        schedules.set_schedule(project_id, INES, name="nightly-report", job=job, cron_line="0 3 * * *")
    )
    work = engines.run(
        operations.start(
            project_id, INES, kind=flushes.KIND, params={"prefix": "", "upTo": 9}, total=1, is_exact=True
        )
    )
    here = f"/p/{project.slug}"

    assert owner_page.get(url, {"q": batch})["Location"] == f"{here}/batches/{batch}"
    assert owner_page.get(url, {"q": "nightly-report"})["Location"] == f"{here}/schedules/nightly-report"
    assert owner_page.get(url, {"q": str(work.id)})["Location"] == f"{here}/operations/{work.id}"


def test_job_of_another_project_is_not_found(owner_page, url):
    from aerodash.models import Project

    other = Project.objects.create(slug=f"other-{uuid.uuid4().hex[:8]}", name="Other")
    id = enqueue(other)
    response = owner_page.get(url, {"q": id})

    assert response.status_code == 200
    assert f"Nothing is called “{id}”" in response.text


def test_exact_key_leads_to_its_entry_though_others_begin_so(owner_page, project, url):
    put(project, "user:1", b"1")
    put(project, "user:10", b"1")

    assert owner_page.get(url, {"q": "user:1"})["Location"] == f"/p/{project.slug}/cache/entry?key=user%3A1"


def test_beginning_of_several_names_lists_them_and_leads_to_the_rest(owner_page, project, url, monkeypatch):
    monkeypatch.setattr(search, "FOUND_MAX", 2)
    for n in range(4):
        put(project, f"user:{n}", b"1")
    enqueue(project, "user-import")
    page = owner_page.get(url, {"q": "user"}).text

    assert "user-import" in page
    assert "user:0" in page
    assert "user:2" not in page
    assert "All 4 keys that begin with this" in page
    assert f"/p/{project.slug}/cache?prefix=user" in page


def test_flag_is_found_by_its_name_and_by_its_key_and_once(owner_page, project, url):
    put(project, "flag:new-mailer", b'{"enabled":true}')
    put(project, "flag:new-mailer-2", b'{"enabled":true}')
    entry = f"/p/{project.slug}/cache/entry?key=flag%3Anew-mailer"

    assert owner_page.get(url, {"q": "new-mailer"})["Location"] == entry
    assert owner_page.get(url, {"q": "flag:new-mailer"})["Location"] == entry
    page = owner_page.get(url, {"q": "flag:new"}).text
    assert page.count("data-found") == 2


def test_type_is_found_by_a_part_of_its_name_and_exactly_first(owner_page, project, url):
    for type in ("mail", "send-mail"):
        enqueue(project, type)

    assert owner_page.get(url, {"q": "mail"}).status_code == 302
    page = owner_page.get(url, {"q": "mai"}).text
    assert page.index(">mail<") < page.index(">send-mail<")


def test_only_thing_like_it_is_opened_at_once(owner_page, project, url):
    enqueue(project, "generate-report")

    assert "generate-report" in owner_page.get(url, {"q": "repor"})["Location"]


def test_page_of_the_console_is_found_by_its_name(owner_page, project, url):
    assert owner_page.get(url, {"q": "operat"})["Location"] == f"/p/{project.slug}/operations"


@pytest.mark.parametrize("q", ["\0", "x" * 3000, "é" * 900, '"><script>', "%", "-" * 36])
def test_what_can_be_nothing_is_said_to_be_nothing(owner_page, url, q):
    response = owner_page.get(url, {"q": q})

    assert response.status_code == 200
    assert "Nothing is called" in response.text
    assert "<script>" not in response.text


def test_htmx_gets_the_list_alone_even_of_one(owner_page, project, url):
    put(project, "user:1", b"1")
    response = owner_page.get(url, {"q": "user:1"}, headers=HTMX)

    assert response.status_code == 200
    assert "user:1" in response.text
    assert "<html" not in response.text


def test_jobs_are_found_while_the_cache_is_away(owner_page, project, url):
    enqueue(project, "send-email")
    with cache_away():
        listed = owner_page.get(url, {"q": "send"})
        exact = owner_page.get(url, {"q": "send-email"})

    assert listed.status_code == 200
    assert "Keys and flags cannot be searched right now" in listed.text
    assert "send-email" in listed.text
    assert exact.status_code == 302


def test_asks_a_bounded_number_of_times(owner_page, project, url, django_assert_max_num_queries):
    for n in range(12):
        put(project, f"user:{n}", b"1")
        enqueue(project, f"user-{n}")
    with django_assert_max_num_queries(8):
        owner_page.get(url, {"q": "user"}, headers=HTMX)


def test_stranger_finds_no_project(stranger_page, url):
    assert stranger_page.get(url, {"q": "x"}).status_code == 404
