"""Journeys on the Cache and Flags pages: a TTL edited and its countdown seen, a flag flipped and read back by the API."""

import json

import pytest
from playwright.async_api import expect

from aerodash import engines
from aerodash.auth import system_actor
from aerodash.ids import ProjectId
from cache_admin import queries, services

pytestmark = pytest.mark.browser


@pytest.fixture
def entries(project):
    """Sessions in two regions, a counter, and two flags."""

    def put(key: str, value: object, **options) -> None:
        text = json.dumps(value).encode()
        engines.run(services.set_entry(ProjectId(project.pk), system_actor(), key=key, value=text, **options))

    for i in range(5):
        put(f"session:eu:{i:04}", {"userId": f"u-{i}"}, ttl_s=3600, metadata=b'{"device":"web"}')
    put("session:us:0001", {"userId": "u-9"})
    put("views:post-1", 41)
    put("flag:new-checkout", {"enabled": False, "description": "One-page checkout", "tags": ["web"]})
    put("flag:dark-mode", {"enabled": True, "rollout": 50})
    put("flag:broken", "not a flag")


async def test_folders_lead_to_an_entry_whose_ttl_is_edited(seat, entries, project) -> None:
    await seat.open("cache")
    tree = seat.page.get_by_role("region", name="Folders")
    await expect(tree.get_by_role("link", name="session:")).to_contain_text("6")
    await tree.get_by_role("link", name="session:").click()
    await tree.get_by_role("link", name="eu:").click()
    await expect(tree.get_by_role("link", name="eu:")).to_contain_text("5")
    await seat.page.get_by_role("link", name="session:eu:0003").click()

    await seat.page.get_by_label("Seconds").fill("590")
    await seat.page.get_by_label("Seconds").press("Enter")
    countdown = seat.page.locator("#facts [data-left], #facts time").first
    await expect(countdown).to_contain_text("09:")
    before = await countdown.inner_text()
    await expect(countdown).not_to_have_text(before)  # it ticks
    entry = await queries.get(ProjectId(project.pk), system_actor(), key="session:eu:0003")
    now_ms = await queries.now_ms()
    assert 530_000 < entry.expires_at_ms - now_ms <= 590_000
    assert entry.value == b'{"userId": "u-3"}'


async def test_an_entry_written_by_a_program_waits_behind_a_link_on_the_open_page(seat, entries, api) -> None:
    await seat.open("cache?prefix=views%3A")
    await seat.live()
    await api.post("/v1/cache/set", {"key": "views:post-2", "value": 7})
    await seat.page.get_by_role("link", name="1 new key").click()
    await expect(seat.page.get_by_role("link", name="views:post-2")).to_be_visible()


async def test_a_flag_is_flipped_and_read_back_by_the_api(seat, entries, api) -> None:
    await seat.open("flags")
    switch = seat.page.get_by_role("switch", name="new-checkout")
    await expect(switch).not_to_be_checked()
    await switch.click()
    await expect(seat.page.get_by_role("switch", name="new-checkout")).to_be_checked()
    reply = await api.post("/v1/cache/get", {"key": "flag:new-checkout"})
    assert reply.json["value"] == {"enabled": True, "description": "One-page checkout", "tags": ["web"]}
    await expect(seat.page.locator("main")).to_contain_text("parse error")


async def test_every_page_is_accessible_and_fits_in_light(seat, entries, enqueue_some) -> None:
    await _check_pages(seat, enqueue_some)


async def test_every_page_is_accessible_and_fits_on_a_dark_phone(phone, entries, enqueue_some) -> None:
    await _check_pages(phone, enqueue_some)


async def _check_pages(seat, job: str) -> None:
    pages = ["jobs", f"jobs/{job}", "jobs?status=failed", "cache", "cache?prefix=session%3Aeu%3A"]
    pages += [
        "cache/entry?key=session%3Aeu%3A0001",
        "cache/entry?key=missing",
        "flags",
        "cache?prefix=nothing",
    ]
    for path in pages:
        await seat.open(path)
        await seat.check_accessibility()
        await seat.check_width()


@pytest.fixture
def enqueue_some(enqueue) -> str:
    """Jobs in a few states; the id of one."""
    for type_ in ("send-email", "generate-report", "deliver-webhook"):
        enqueue(type_, {"n": 1})
    return enqueue("import-row", {"rows": [1, 2, 3]}, delay_s=3600)


async def test_in_production_a_flag_s_expiry_is_asked_first(phone, entries, project) -> None:
    project.environment = project.Environment.PRODUCTION
    await project.asave()
    await phone.open("cache/entry?key=flag%3Adark-mode")
    await phone.page.get_by_text("Edit as JSON").click()
    await phone.check_accessibility()
    await phone.check_width()
    await phone.page.get_by_role("button", name="1 h", exact=True).click()
    await expect(
        phone.page.get_by_role("heading", name="Change when flag:dark-mode expires?")
    ).to_be_visible()
    await phone.check_accessibility()
    await phone.check_width()
    await phone.page.get_by_label("Type flag:dark-mode to confirm").fill("flag:dark-mode")
    await phone.page.get_by_label("Reason").fill("the trial ends")
    await phone.page.get_by_role("button", name="Change the expiry").click()
    await expect(phone.page.locator("#messages")).to_contain_text("It expires in 3,600 s")
    entry = await queries.get(ProjectId(project.pk), system_actor(), key="flag:dark-mode")
    assert entry.expires_at_ms
