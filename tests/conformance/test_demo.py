"""The demo and the first start: made once, complete, and never against a person's will."""

import json

import pytest
from django.conf import settings

from aerodash import demo, engines, first_start, keys
from aerodash.auth import Role
from aerodash.cli.main import main
from aerodash.ids import ProjectId
from aerodash.models import ApiKey, AuditEntry, Member, Project, User
from cache_admin import queries, services
from jobs_admin.models import Batch, Job, Schedule


@pytest.fixture
def fresh_demo():
    """The demo's owner, project and key text, made anew."""
    Project.objects.filter(slug=demo.SLUG).delete()
    User.objects.filter(username=demo.USERNAME).delete()
    (settings.AERODASH_DATA / "demo-key").unlink(missing_ok=True)
    return demo.see_to_it()


def test_it_is_complete(fresh_demo, actor):
    user, project, text = fresh_demo
    assert Member.objects.get(user=user, project=project).role == Role.OWNER
    assert not user.has_usable_password()
    assert ApiKey.objects.get(digest=keys.digest(text)).project == project
    number = ProjectId(project.pk)
    assert 300 < engines.run(queries.count(number, actor)).number < 1000
    flag = engines.run(queries.get(number, actor, key="flag:dark-mode"))
    assert json.loads(flag.value)["rollout"] == 50
    types = set(Job.objects.filter(project_id=project.pk).values_list("type", flat=True))
    assert types == {
        "send-email", "send-welcome-email", "generate-report", "deliver-webhook", "import-row", "resize-image",
    }  # fmt: skip
    batch = Batch.objects.get(project_id=project.pk)
    assert (batch.name, batch.sealed_at_ms is not None) == ("customers-2026.csv", True)
    assert Job.objects.filter(batch_id=batch.pk).count() == 150
    of_project = Schedule.objects.filter(project_id=project.pk)
    assert set(of_project.values_list("name", flat=True)) == {
        "nightly-report", "product-pictures", "monday-newsletter",
    }  # fmt: skip


def test_a_second_time_changes_nothing(fresh_demo, actor):
    user, project, text = fresh_demo
    number = ProjectId(project.pk)
    jobs = Job.objects.filter(project_id=project.pk).count()
    engines.run(services.delete(number, actor, key="flag:dark-mode"))

    assert demo.see_to_it() == (user, project, text)
    assert Job.objects.filter(project_id=project.pk).count() == jobs
    assert engines.run(queries.get(number, actor, key="flag:dark-mode")) is None, "a person deleted it"


def test_an_interrupted_seeding_is_done_again_without_doubling_jobs(fresh_demo):
    _, project, _ = fresh_demo
    jobs = Job.objects.filter(project_id=project.pk).count()
    AuditEntry.objects.filter(project=project, verb=demo.SEEDED).delete()
    demo.see_to_it()
    assert Job.objects.filter(project_id=project.pk).count() == jobs
    assert AuditEntry.objects.filter(project=project, verb=demo.SEEDED).count() == 1


def test_a_lost_or_revoked_key_is_replaced_and_the_old_one_refused(fresh_demo):
    _, project, old = fresh_demo
    (settings.AERODASH_DATA / "demo-key").unlink()
    _, _, new = demo.see_to_it()
    assert new != old
    valid = ApiKey.objects.filter(project=project, revoked_at=None)
    assert [key.digest for key in valid] == [keys.digest(new)]


def test_the_key_file_is_for_its_owner_only(fresh_demo):
    path = settings.AERODASH_DATA / "demo-key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == fresh_demo[2]


def test_a_first_start_makes_an_owner_a_project_and_a_key_only_where_nobody_is():
    Member.objects.filter(role=Role.OWNER).delete()
    user, project, text = first_start.see_to_it()
    assert (user.username, project.slug) == ("admin", "main")
    assert text is not None
    assert ApiKey.objects.get(digest=keys.digest(text)).project == project
    assert first_start.see_to_it() == (user, project, None)


def test_the_key_command_makes_lists_and_revokes(project, capsys):
    assert main(["key", "create", "--project", project.slug, "--name", "shop", "--scope", "cache:read"]) == 0
    text = capsys.readouterr().out.strip()
    key = ApiKey.objects.get(digest=keys.digest(text))
    assert (key.name, key.scopes) == ("shop", ["cache:read"])

    assert main(["key", "list", "--project", project.slug]) == 0
    listed = capsys.readouterr().out
    assert "shop" in listed
    assert text not in listed

    assert main(["key", "revoke", str(key.pk)]) == 0
    key.refresh_from_db()
    assert key.revoked_at is not None
    verbs = AuditEntry.objects.filter(project=project).order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["key.create", "key.revoke"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create", "--project", "nowhere", "--name", "x"], "There is no project 'nowhere'."),
        (["revoke", "999999"], "There is no valid key 999999; `aerodash key list` shows them."),
    ],
)
def test_the_key_command_refuses_in_a_sentence(arguments, sentence, capsys):
    assert main(["key", *arguments]) == 1
    assert capsys.readouterr().err == f"aerodash: {sentence}\n"


def test_an_unknown_scope_is_refused_with_the_list(project, capsys):
    assert main(["key", "create", "--project", project.slug, "--name", "x", "--scope", "cache:all"]) == 1
    said = capsys.readouterr().err
    assert "'cache:all'" in said
    assert "cache:read" in said


def test_the_doctor_finds_a_sound_setup_sound(capsys):
    assert main(["doctor"]) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    for subject in ("versions", "database", "migrations", "engine", "eviction policy", "clock", "disk"):
        assert f"ok    {subject}" in said


def test_the_doctor_says_what_to_mend(capsys):
    import redis

    with redis.Redis.from_url(settings.VALKEY_URL) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert main(["doctor"]) == 1
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    said = capsys.readouterr().out
    assert "MEND  eviction policy: allkeys-lru" in said
    assert "Set maxmemory-policy noeviction" in said


def test_the_link_command_prints_a_link_that_works_once(fresh_demo, client, capsys):
    assert main(["link", demo.USERNAME]) == 0
    link = capsys.readouterr().out.strip()
    path = link.removeprefix(settings.AERODASH_PUBLIC_URL)
    assert client.get(path).status_code == 200
    assert client.post(path).status_code == 302
    assert client.get(path).status_code != 200


def test_no_migration_is_missing():
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
