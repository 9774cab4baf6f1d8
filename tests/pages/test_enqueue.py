"""Enqueueing by hand: the form made from a type's last payloads, the same as JSON, and what becomes of it."""

import json
import re
from datetime import UTC, datetime
from html import unescape

import pytest
from django.test import Client

from aerodash.models import AuditEntry, Project
from jobs_admin.engine.contract import NewJob, Unique
from jobs_admin.models import Job
from tests.pages.jobs_cast import add, configure, enqueue, pause

LAST = b'{"to":"<jane>","orderId":9007199254740993,"ratio":1.10,"vip":true,"data":{"a":[1]}}'
FIRST = b'{"to":"omar","orderId":1,"ratio":2,"vip":false,"data":{},"note":"x"}'


def url(project: Project, query: str = "") -> str:
    return f"/p/{project.slug}/jobs/new{query}"


def form(page: str) -> dict[str, str]:
    """What the page's form would send as it stands."""
    sent = {}
    body = page.split('class="ad-grid-main"')[1]
    for tag in re.findall(r"<input[^>]*>", body):
        values = {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        if values.get("type") in ("radio", "checkbox") and " checked" not in tag:
            continue
        if "name" in values:
            sent[values["name"]] = values.get("value", "")
    for name, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', body, re.DOTALL):
        chosen = re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)', options)
        sent[name] = "" if chosen is None else chosen[1] or chosen[2]
    for name, text in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>\n(.*?)</textarea>', body, re.DOTALL):
        sent[name] = unescape(text).replace("\n", "\r\n")
    sent.pop("csrfmiddlewaretoken", None)
    sent.pop("do", None)
    return sent


def field(sent: dict[str, str], name: str) -> str:
    """The control of a member: "v0" and so on."""
    (number,) = [key[1:] for key, value in sent.items() if re.fullmatch(r"n\d+", key) and value == name]
    return f"v{number}"


def error(page: str) -> str:
    found = re.search(r'role="alert" id="error">.*?</div></div>', page, re.DOTALL)
    return "" if found is None else unescape(re.sub("<[^>]*>", "", found[0].partition(">")[2]))


def test_page_asks_for_a_type_first(owner_page: Client, project: Project) -> None:
    enqueue(project)

    page = owner_page.get(url(project)).text

    assert "Which type?" in page
    assert '<option value="send-email">' in page
    assert 'name="payload"' not in page


def test_form_has_the_members_of_the_last_payloads(owner_page: Client, project: Project) -> None:
    enqueue(project, payload=FIRST)
    enqueue(project, payload=LAST)

    page = owner_page.get(url(project, "?type=send-email"))
    sent = form(page.text)

    assert page.status_code == 200
    assert "made from the last 2 payloads of send-email" in page.text
    names = [sent[f"n{n}"] for n in range(int(sent["count"]))]
    assert names == ["to", "orderId", "ratio", "vip", "data", "note"]
    assert [sent[f"k{n}"] for n in range(6)] == ["text", "number", "number", "boolean", "json", "text"]
    assert 'placeholder="last: &lt;jane&gt;"' in page.text
    assert 'placeholder="last: 9007199254740993"' in page.text
    assert sent[field(sent, "data")] == '{"a":[1]}'
    assert sent[field(sent, "vip")] == "true"
    assert "s5" not in sent, "the newest had no note"


def test_job_is_enqueued_with_what_the_form_says(owner_page: Client, project: Project) -> None:
    enqueue(project, payload=LAST)
    sent = form(owner_page.get(url(project, "?type=send-email")).text)
    sent |= {
        field(sent, "to"): "li", field(sent, "orderId"): "12345678901234567890", field(sent, "ratio"): "1.10",
        field(sent, "vip"): "false", "do": "enqueue", "priority": "1", "tags": "eu, by hand, eu", "retries": "0", "unique": "k",
    }  # fmt: skip
    answer = owner_page.post(url(project), sent, follow=True)

    job = Job.objects.filter(project=project).order_by("-pk")[0]
    assert answer.redirect_chain[-1][0] == f"/p/{project.slug}/jobs/{job.pk}"
    assert f"Enqueued job …{str(job.pk)[-8:]}." in answer.text
    assert (
        job.payload
        == '{"to": "li", "orderId": 12345678901234567890, "ratio": 1.10, "vip": false, "data": {"a":[1]}}'
    )
    assert (job.priority, job.max_retries, job.unique_key) == (1, 0, "k")
    assert json.loads(job.tags) == ["eu", "by hand"]
    assert job.enqueued_door == "console"
    [line] = AuditEntry.objects.filter(project=project)
    assert (line.verb, line.target) == ("job.enqueue", str(job.pk))
    assert json.loads(line.details["after"])["type"] == "send-email"


def test_what_is_wrong_in_a_field_is_said_beside_it(owner_page: Client, project: Project) -> None:
    enqueue(project, payload=LAST)
    sent = form(owner_page.get(url(project, "?type=send-email")).text)
    sent |= {
        field(sent, "to"): "<li>",
        field(sent, "orderId"): "many",
        field(sent, "data"): "{oops}",
        "do": "enqueue",
    }
    answer = owner_page.post(url(project), sent)

    assert answer.status_code == 422
    assert "A number is needed, such as 12 or -1.5." in answer.text
    assert "A number is needed here." in answer.text
    assert "at line 1, column 2." in unescape(answer.text)
    assert form(answer.text)[field(sent, "to")] == "<li>"
    assert form(answer.text)[field(sent, "orderId")] == "many"
    assert Job.objects.filter(project=project).count() == 1


def test_form_and_json_change_into_each_other_without_loss(owner_page: Client, project: Project) -> None:
    enqueue(project, payload=FIRST)
    enqueue(project, payload=LAST)
    sent = form(owner_page.get(url(project, "?type=send-email")).text)
    sent |= {field(sent, "to"): "li", field(sent, "orderId"): "7", field(sent, "ratio"): "1.10", "tags": "eu", "when": "delay", "delay": "3"}  # fmt: skip
    as_json = form(owner_page.post(url(project), {**sent, "do": "json"}).text)
    text = as_json["payload"].replace("\r\n", "\n")
    edited = {
        **as_json,
        "payload": text.replace('"li"', '"yuki"').replace('"vip": true', '"extra": null'),
        "do": "form",
    }
    back = form(owner_page.post(url(project), edited).text)

    assert '"ratio": 1.10' in text
    assert as_json["mode"] == "json"
    assert (back["tags"], back["when"], back["delay"]) == ("eu", "delay", "3")
    assert back[field(back, "to")] == "yuki"
    assert back[field(back, "ratio")] == "1.10"
    assert back[field(back, "extra")] == "null"
    owner_page.post(url(project), {**back, "do": "enqueue"})
    job = Job.objects.filter(project=project).order_by("-pk")[0]
    assert json.loads(job.payload) == {
        "to": "yuki",
        "orderId": 7,
        "ratio": 1.1,
        "data": {"a": [1]},
        "extra": None,
    }
    assert job.due_at_ms - job.created_at_ms == 180_000


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"a": 1, "a": 2}', "each name once"), ("[1, 2]", "one object"), ('{"a": }', "at line 1, column 7.")],
)
def test_json_that_no_form_can_carry_stays_json(
    owner_page: Client, project: Project, text: str, said: str
) -> None:
    answer = owner_page.post(url(project), {"type": "report", "mode": "json", "payload": text, "do": "form"})

    assert said in unescape(answer.text)
    assert form(answer.text)["mode"] == "json"
    assert form(answer.text)["payload"] == text


def test_wrong_field_is_mended_before_the_form_becomes_json(owner_page: Client, project: Project) -> None:
    enqueue(project, payload=b'{"n":1}')
    sent = form(owner_page.get(url(project, "?type=send-email")).text)
    answer = owner_page.post(url(project), {**sent, field(sent, "n"): "x", "do": "json"})

    assert "As JSON it can be shown once these fields are right." in answer.text
    assert form(answer.text)[field(sent, "n")] == "x"


def test_empty_number_does_not_keep_the_form_from_becoming_json(owner_page: Client, project: Project) -> None:
    enqueue(project, payload=b'{"n":1}')
    sent = form(owner_page.get(url(project, "?type=send-email")).text)
    answer = owner_page.post(url(project), {**sent, "do": "json"})

    assert json.loads(form(answer.text)["payload"]) == {"n": None}


@pytest.mark.parametrize("payload", [b"[1,2]", b'{"a":1,"a":2}', b"7"])
def test_type_whose_payloads_no_form_can_carry_starts_with_json(
    owner_page: Client, project: Project, payload: bytes
) -> None:
    enqueue(project, payload=payload)

    page = owner_page.get(url(project, "?type=send-email")).text

    assert "are no objects that a form can carry" in page
    assert form(page)["payload"] == "{}"


def test_type_without_jobs_starts_with_json(owner_page: Client, project: Project) -> None:
    page = owner_page.get(url(project, "?type=new-type")).text
    owner_page.post(url(project), {**form(page), "payload": '{"x": 1.10}', "do": "enqueue"})

    assert "It has no jobs to make a form from" in page
    assert Job.objects.get(project=project).payload == '{"x": 1.10}'
    assert Job.objects.get(project=project).max_retries == 3


def test_another_like_a_job_begins_with_what_it_has(owner_page: Client, project: Project) -> None:
    job = NewJob(
        "send-email",
        LAST.decode(),
        len(LAST),
        priority=0,
        tags=("eu", "a b"),
        max_retries=7,
        unique=Unique("k"),
    )
    job_id = add(project, job)
    link = re.search(r'href="([^"]*like=[^"]*)"', owner_page.get(f"/p/{project.slug}/jobs/{job_id}").text)[1]

    page = owner_page.get(link).text
    sent = form(page)

    assert f"filled with the payload of job …{job_id[-8:]}" in page
    assert (sent["priority"], sent["tags"], sent["retries"], sent["unique"]) == ("0", "eu, a b", "7", "")
    assert sent[field(sent, "orderId")] == "9007199254740993"
    owner_page.post(url(project), {**sent, "do": "enqueue"})
    again = Job.objects.filter(project=project).order_by("-pk")[0]
    assert json.loads(again.payload) == json.loads(LAST)
    assert "Which type?" in owner_page.get(url(project, "?like=none")).text


def test_secret_values_are_not_shown(owner_page: Client, project: Project) -> None:
    configure(project, "send-email", secret_paths=("/token", "/card/number"))
    job_id = enqueue(project, payload=b'{"token":"t0p-secret","card":{"number":"4111"},"to":"jane"}')

    for query in ("?type=send-email", f"?like={job_id}", f"?like={job_id}&mode=json"):
        page = owner_page.get(url(project, query)).text
        assert "t0p-secret" not in page
        assert "4111" not in page


@pytest.mark.parametrize(
    ("change", "said", "wrong"),
    [
        ({"payload": '{"a" 1}'}, "at line 1, column", "payload"),
        ({"type": "a b"}, "type must be", "of"),
        ({"when": "delay", "delay": "soon"}, "is not a number", "delay"),
        ({"when": "delay", "delay": "-1"}, "out of bounds", "delay"),
        ({"when": "at", "at": "tomorrow"}, "A time is written as", "at"),
        ({"when": "at", "at": "3026-03-18T12:00"}, "ten years from now", "at"),
        ({"retries": "1.5"}, "is not a whole number", "retries"),
        ({"tags": "x" * 65}, "longer than 64", "tags"),
        ({"unique": "x" * 257}, "longer than 256", "unique"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(
    owner_page: Client, project: Project, change: dict[str, str], said: str, wrong: str
) -> None:
    sent = {
        "type": "report",
        "mode": "json",
        "payload": '{"a": 1}',
        "tags": "eu",
        "unique": "u",
        "do": "enqueue",
    }
    answer = owner_page.post(url(project), sent | change)

    assert answer.status_code == 422
    assert said in error(answer.text)
    back = form(answer.text)
    for name in ("type", "payload", "tags", "unique", *(change.keys() - {"when"})):
        assert back[name] == (sent | change)[name], name
    if wrong != "unique":
        assert re.search(rf'id="{wrong}"[^>]*aria-invalid="true"', answer.text)
    assert not Job.objects.filter(project=project).exists()


def test_job_can_wait_for_an_exact_time(owner_page: Client, project: Project) -> None:
    sent = {
        "type": "report",
        "mode": "json",
        "payload": "1",
        "when": "at",
        "at": "2031-03-18T12:04:31",
        "do": "enqueue",
    }
    owner_page.post(url(project), sent)

    assert (
        Job.objects.get(project=project).due_at_ms
        == 1000 * datetime(2031, 3, 18, 12, 4, 31, tzinfo=UTC).timestamp()
    )


def test_unique_key_that_is_held_leads_to_its_holder(owner_page: Client, project: Project) -> None:
    sent = {"type": "report", "mode": "json", "payload": "1", "unique": "k", "do": "enqueue"}
    owner_page.post(url(project), sent)
    answer = owner_page.post(url(project), sent, follow=True)

    job = Job.objects.get(project=project)
    assert answer.redirect_chain[-1][0] == f"/p/{project.slug}/jobs/{job.pk}"
    assert "this job has the unique key already" in answer.text


def test_paused_type_is_said_before_one_enqueues(owner_page: Client, project: Project) -> None:
    enqueue(project)
    pause(project, "send-email")

    assert "the job will wait until it is resumed" in owner_page.get(url(project, "?type=send-email")).text


def test_who_may_not_enqueue_is_refused(viewer_page: Client, stranger_page: Client, project: Project) -> None:
    sent = {"type": "report", "mode": "json", "payload": "1", "do": "enqueue"}

    assert viewer_page.get(url(project)).status_code == 403
    assert viewer_page.post(url(project), sent).status_code == 403
    assert stranger_page.get(url(project)).status_code == 404
    assert not Job.objects.filter(project=project).exists()
