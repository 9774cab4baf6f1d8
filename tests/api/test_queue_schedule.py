"""The schedule operations together, and the keeper that fires what they set."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from jobs_admin import keeper, schedules
from tests.api.client import ApiClient
from tests.api.queue_calls import INSTANT, lease, record, refused, settle

PATH = "/v1/queue/schedule/"
SET = {"name": "nightly", "type": "report", "payload": {"n": 1}, "cron": "0 3 * * *"}


async def set_one(api: ApiClient, **said) -> str | None:
    reply = await api.post(PATH + "set", {**SET, **said})
    assert (reply.status, reply.json["success"]) == (200, True), reply.body
    return reply.json.get("nextAt")


async def every_second(api: ApiClient, **said) -> datetime:
    next_at = await set_one(api, cron=None, everySeconds=1, **said)
    assert next_at is not None
    return datetime.fromisoformat(next_at)


async def listed(api: ApiClient, **page) -> list[dict]:
    reply = await api.post(PATH + "list", page)
    assert reply.status == 200, reply.body
    return reply.json["schedules"]


async def delete(api: ApiClient, name: str = "nightly") -> bool:
    reply = await api.post(PATH + "delete", {"name": name})
    assert reply.status == 200, reply.body
    return reply.json["success"]


@pytest.fixture
async def fire():
    """What the keeper does twice a second."""
    [task] = [task for name, _, task in keeper.TASKS if name == "jobs.fire_schedules"]
    return task


async def test_set_answers_the_next_slot(api):
    next_at = datetime.fromisoformat(await set_one(api, timezone="Asia/Tokyo"))
    assert (next_at.hour, next_at.minute, next_at.second) == (18, 0, 0)  # 3 o'clock in Tokyo
    now = datetime.now(UTC)
    assert now < next_at <= now + timedelta(days=1)


async def test_a_schedule_is_listed_as_it_was_set(api):
    said = {
        "timezone": "Europe/Berlin",
        "missed": "all",
        "maxRetries": 0,
        "priority": 2,
        "retryDelay": {"kind": "list", "delays": [1.0, 2.5]},
        "uniqueKey": {"key": "k", "while": 60.0, "onConflict": "replace"},
        "timeoutSeconds": 90.0,
        "tags": ["a", "b"],
        "partitionKey": "p",
    }
    next_at = await set_one(api, **said)
    [found] = await listed(api)
    assert INSTANT.fullmatch(found.pop("createdAt"))
    assert INSTANT.fullmatch(found.pop("updatedAt"))
    assert found == {**SET, **said, "nextAt": next_at, "paused": False, "updatedBy": "key test"}
    # What is listed can be sent back.
    assert await set_one(api, **found) == next_at


async def test_a_payload_is_kept_as_it_is(api):
    await set_one(api, payload=None)
    body = b'{"name": "big", "type": "t", "data": {"n": 123456789012345678901234567890, "e": "\\u00fc"}, "every": 60}'
    assert (await api.post(PATH + "set", body)).status == 200
    reply = await api.post(PATH + "list", {})
    assert b'"payload":{"n": 123456789012345678901234567890, "e": "\\u00fc"}' in reply.body
    assert [found["payload"] for found in reply.json["schedules"]][1] is None


async def test_set_again_replaces_all_but_a_pause(api):
    await set_one(api, tags=["a"], paused=True)
    assert await set_one(api, type="other", cron="* * * * *") is None
    [found] = await listed(api)
    assert (found["type"], found["cron"], found["paused"]) == ("other", "* * * * *", True)
    assert INSTANT.fullmatch(found["pausedAt"])
    assert "tags" not in found
    assert "nextAt" not in found
    assert await set_one(api, paused=False) is not None
    assert "pausedAt" not in (await listed(api))[0]


async def test_the_keeper_enqueues_each_slot_and_the_job_starts_at_it(api, fire):
    slot = await every_second(api, tags=["tick"])
    await fire()
    [job] = await lease(api, types=["report"], waitSeconds=5)
    started = datetime.fromisoformat(job["startedAt"])
    assert job["scheduledAt"] == slot.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert timedelta(0) <= started - slot < timedelta(seconds=0.5)
    assert (job["payload"], job["tags"]) == ({"n": 1}, ["tick"])
    [found] = await listed(api)
    assert (found["lastAt"], found["lastJobId"]) == (job["scheduledAt"], job["id"])
    await delete(api)


async def test_the_log_of_a_job_says_which_schedule_enqueued_it(api, actor, project_id, fire):
    from asgiref.sync import sync_to_async

    from jobs_admin import queries

    await every_second(api)
    await fire()
    [job] = await lease(api, types=["report"], waitSeconds=5)
    detail = await sync_to_async(queries.job)(project_id, actor, job_id=job["id"])
    assert (detail.enqueued_by, detail.enqueued_door) == ("schedule nightly", "keeper")
    await delete(api)


async def test_run_enqueues_at_once_and_leaves_the_slots(api, actor, project_id):
    from asgiref.sync import sync_to_async

    from jobs_admin import queries

    next_at = await set_one(api)
    reply = await api.post(PATH + "run", {"name": "nightly"})
    assert (reply.status, reply.json["success"]) == (200, True)
    [job] = await lease(api)
    assert job["id"] == reply.json["jobId"]
    detail = await sync_to_async(queries.job)(project_id, actor, job_id=job["id"])
    assert (detail.enqueued_by, detail.enqueued_door) == ("key test (schedule nightly)", "api")
    [found] = await listed(api)
    assert found["nextAt"] == next_at
    assert "lastAt" not in found
    await set_one(api, paused=True)
    assert (await api.post(PATH + "run", {"name": "nightly"})).status == 200


async def test_run_of_an_unknown_one(api):
    reply = await api.post(PATH + "run", {"name": "absent"})
    refused(reply, "name")
    assert reply.json["details"]["reason"] == "unknown_schedule"


async def test_delete(api):
    await set_one(api)
    assert await delete(api) is True
    assert await delete(api) is False
    assert await listed(api) == []


async def test_a_schedule_is_its_projects_own(api):
    from asgiref.sync import sync_to_async

    from aerodash import keys
    from aerodash.auth import Scope
    from aerodash.models import Project

    def other_key() -> str:
        project = Project.objects.create(slug="schedule-stranger", name="Stranger")
        return keys.mint(project, "other", [Scope.ADMIN])[1]

    await set_one(api)
    stranger = ApiClient(await sync_to_async(other_key)())
    assert await listed(stranger) == []
    assert await delete(stranger) is False
    refused(await stranger.post(PATH + "run", {"name": "nightly"}), "name")
    await set_one(stranger, type="other")
    assert (await listed(api))[0]["type"] == "report"


async def test_list_is_by_name_in_pages(api):
    for name in "cadbe":
        await set_one(api, name=name)
    first = await api.post(PATH + "list", {"limit": 3})
    assert [found["name"] for found in first.json["schedules"]] == ["a", "b", "c"]
    assert first.json["list_complete"] is False
    second = await api.post(PATH + "list", {"limit": 3, "cursor": first.json["cursor"]})
    assert [found["name"] for found in second.json["schedules"]] == ["d", "e"]
    assert second.json["list_complete"] is True
    assert "cursor" not in second.json
    refused(await api.post(PATH + "list", {"cursor": "no name"}), "cursor")


async def test_a_page_ends_early_before_it_is_too_long(api, monkeypatch):
    monkeypatch.setattr(schedules, "PAGE_BYTES", 2_500)
    for name in "abc":
        await set_one(api, name=name, payload="x" * 1_000)
    first = await api.post(PATH + "list", {})
    assert ([found["name"] for found in first.json["schedules"]], first.json["list_complete"]) == (
        ["a"],
        False,
    )
    assert [found["name"] for found in await listed(api, cursor=first.json["cursor"])] == ["b"]


@pytest.mark.parametrize(
    ("said", "field", "reason", "words"),
    [
        ({"cron": "0 3 * *"}, "cron", "invalid_cron", "must have five fields"),
        ({"cron": "0 3 * * * *"}, "cron", "invalid_cron", "must have five fields"),
        ({"cron": "@daily"}, "cron", "invalid_cron", "must have five fields"),
        ({"cron": "60 3 * * *"}, "cron", "invalid_cron", "'60' is not a valid minute field"),
        ({"cron": "0 3 * * mo"}, "cron", "invalid_cron", "'mo' is not a valid day-of-week field"),
        ({"cron": "0 0 30 2 *"}, "cron", "invalid_cron", "no day of the next 50 years matches"),
        ({"cron": "0 0 */31 * MON#5"}, "cron", "invalid_cron", "no day of the next 50 years matches"),
        ({"timezone": "Europe/Bonn"}, "timezone", "unknown_timezone", "'Europe/Bonn' is not a time zone"),
        ({"timezone": "../UTC"}, "timezone", "unknown_timezone", "is not a time zone"),
        ({"timezone": "Europe"}, "timezone", "unknown_timezone", "is not a time zone"),
        ({"cron": None, "everySeconds": 60, "timezone": "x"}, "timezone", "unknown_timezone", "'x' is not"),
        ({"cron": None, "everySeconds": 60, "timezone": "\0"}, "timezone", "invalid_text", "has a NUL"),
        ({"everySeconds": 60}, "cron", "missing", "either cron or everySeconds"),
        ({"cron": None}, "cron", "missing", "either cron or everySeconds"),
        ({"cron": None, "everySeconds": 0.5}, "everySeconds", "invalid_field", ""),
        ({"name": "a b"}, "name", "invalid_field", ""),
        ({"missed": "some"}, "missed", "invalid_field", ""),
        ({"delaySeconds": 5}, "delaySeconds", "invalid_field", "cannot carry"),
        ({"runAt": "2030-01-01T00:00:00Z"}, "runAt", "invalid_field", "cannot carry"),
        ({"deadline": "2030-01-01T00:00:00Z"}, "deadline", "invalid_field", "cannot carry"),
        ({"batch": "0190163d-8694-739b-aea5-966c26f8ad91"}, "batch", "invalid_field", "cannot carry"),
        ({"idempotencyKey": "k"}, "idempotencyKey", "invalid_field", "cannot carry"),
        ({"priority": 10}, "priority", "invalid_field", ""),
        ({"payload": "x" * (1024 * 1024)}, "payload", "payload_too_large", ""),
    ],
)
async def test_what_cannot_be_a_schedule_is_refused_with_a_reason(api, said, field, reason, words):
    reply = await api.post(PATH + "set", {**SET, **said})
    refused(reply, field)
    assert reply.json["details"]["reason"] == reason
    assert words in reply.json["message"]
    assert await listed(api) == []


@pytest.mark.parametrize("verb", ["set", "list", "delete", "run"])
async def test_each_operation_needs_its_own_right(api, project, verb):
    from asgiref.sync import sync_to_async

    from aerodash import keys
    from aerodash.auth import Scope

    scope = Scope.QUEUE_READ if verb == "list" else Scope.QUEUE_MANAGE
    await set_one(api)
    body = {"set": SET, "list": {}}.get(verb, {"name": "nightly"})
    mint = sync_to_async(lambda scopes: keys.mint(project, "one", scopes)[1])
    others = ApiClient(await mint([each for each in Scope if each not in (scope, Scope.ADMIN)]))
    reply = await others.post(PATH + verb, body)
    assert (reply.status, reply.json["code"]) == (403, "FORBIDDEN")
    own = ApiClient(await mint([scope]))
    assert (await own.post(PATH + verb, body)).status == 200


async def test_set_and_delete_are_audited(api, project):
    from asgiref.sync import sync_to_async

    from aerodash.models import AuditEntry

    await set_one(api, paused=True)
    await delete(api)
    lines = AuditEntry.objects.filter(project=project).order_by("id")
    found = await sync_to_async(lambda: list(lines.values_list("verb", "target", "actor_label")))()
    assert found == [
        ("schedule.set", "nightly", "key test"),
        ("schedule.delete", "nightly", "key test"),
    ]


async def test_one_that_cannot_be_fired_does_not_stop_the_others(api, project, fire, caplog):
    """A machine may lose a time zone with an update; the others go on, and the log says it once."""
    from asgiref.sync import sync_to_async

    from jobs_admin.models import Schedule

    await set_one(api, name="lost", timezone="Europe/Berlin")
    broken = Schedule.objects.filter(project=project, name="lost")
    past = int(time.time() * 1000) - 5_000
    await sync_to_async(broken.update)(timezone="Europe/Atlantis", next_at_ms=past)
    await every_second(api)
    await fire()
    await fire()
    assert caplog.text.count("schedule lost") == 1
    faults = {row["name"]: row.get("fault") for row in await listed(api)}
    assert "Europe/Atlantis" in faults["lost"]
    assert faults["nightly"] is None
    [job] = await lease(api, waitSeconds=5)
    assert await settle(api, job) == "accepted"
    assert (await record(api, job["id"]))["type"] == "report"
    for name in ("lost", "nightly"):
        await delete(api, name)


async def test_a_run_that_another_job_stands_for_says_so(api):
    await set_one(api, uniqueKey="one")
    first = await api.post(PATH + "run", {"name": "nightly"})
    again = await api.post(PATH + "run", {"name": "nightly"})
    assert "duplicate" not in first.json
    assert again.json == {"jobId": first.json["jobId"], "success": True, "duplicate": True}


async def test_a_hundred_that_cannot_be_fired_do_not_keep_others_from_their_slots(api, project, fire):
    from asgiref.sync import sync_to_async

    from jobs_admin import schedules
    from jobs_admin.models import Schedule

    past = int(time.time() * 1000) - 5_000
    for number in range(schedules.FIRED_AT_ONCE + 1):
        await set_one(api, name=f"lost-{number}")
    broken = Schedule.objects.filter(project=project)
    await sync_to_async(broken.update)(timezone="Europe/Atlantis", next_at_ms=past)
    await every_second(api, name="whole")
    await sync_to_async(broken.filter(name="whole").update)(next_at_ms=past + 4_000)
    await fire()
    assert await lease(api, waitSeconds=5) != []
    await sync_to_async(broken.all().delete)()
