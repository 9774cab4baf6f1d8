"""Journeys on an entry's page, and on what tells of the engine: a packed value read, an edit that meets another, signs that move."""

import asyncio
import base64
import gzip
import json

import pytest
from playwright.async_api import expect

from aerodash import engines
from aerodash.auth import system_actor
from aerodash.ids import ProjectId
from cache_admin import queries, services

pytestmark = pytest.mark.browser

DOCUMENT = b'{"orderId":9007199254740993,"discount":0.10,"cart":["a"]}'


@pytest.fixture
def put(project):
    """put(key, text, …): write an entry as a program would."""

    def put(key: str, text: bytes, **options) -> None:
        engines.run(services.set_entry(ProjectId(project.pk), system_actor(), key=key, value=text, **options))

    return put


@pytest.fixture
def entries(put):
    put("order:1", DOCUMENT, ttl_s=3600, metadata=b'{"device":"web"}')
    put("order:packed", json.dumps(base64.b64encode(gzip.compress(DOCUMENT)).decode()).encode())
    put(
        "order:bytes",
        json.dumps(base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 12).decode()).encode(),
    )
    put("order:large", b'"' + b"y" * 300_000 + b'"')
    put("loose", b"41")


async def test_an_edit_that_meets_another_shows_both_and_keeps_the_expiry(
    seat, entries, put, project
) -> None:
    await seat.open("cache/entry?key=order%3A1")
    await seat.live()
    box = seat.page.get_by_label("Value, as JSON")
    await box.fill((await box.input_value()).replace("0.10", "0.15").replace('["a"]', '["mine"]'))
    await asyncio.to_thread(put, "order:1", DOCUMENT.replace(b'["a"]', b'["theirs"]'), keep_ttl=True)
    await seat.page.get_by_role("button", name="Review the change").click()
    await expect(seat.page.get_by_role("alert")).to_contain_text("the entry changed while you edited")
    await seat.check_accessibility()
    await seat.page.get_by_label("yours").check()
    await seat.page.get_by_role("button", name="Save the merged value").click()
    await expect(seat.page.locator("#messages")).to_contain_text("Saved the value")
    entry = await queries.get(ProjectId(project.pk), system_actor(), key="order:1")
    assert entry.value == b'{"orderId":9007199254740993,"discount":0.15,"cart":["mine"]}'
    assert entry.expires_at_ms
    seat.complaints[:] = [said for said in seat.complaints if "409" not in said]  # a conflict is one


async def test_an_entry_that_expires_while_it_is_open_says_so(seat, put) -> None:
    await asyncio.to_thread(put, "short", b"1", ttl_s=3)
    await seat.open("cache/entry?key=short")
    await expect(seat.page.locator("#changed")).to_contain_text("This entry has gone")


async def test_views_keep_edits_and_stand_in_the_address(seat, entries) -> None:
    await seat.open("cache/entry?key=order%3Apacked")
    await expect(seat.page.get_by_label("The value, decoded")).to_contain_text('"orderId": 9007199254740993')
    views = seat.page.get_by_role("group", name="Show it as")
    await views.get_by_text("Hex").click()
    await seat.page.get_by_role("group", name="Bytes of").get_by_text("gzip").click()
    assert "form=hex&of=gzip" in seat.page.url
    await expect(seat.page.get_by_role("region", name="Bytes")).to_contain_text("7b 22 6f 72 64 65 72")
    await views.get_by_text("Raw").click()
    await seat.page.get_by_label("Value, as JSON").fill('"new"')
    await views.get_by_text("Hex").click()
    await expect(seat.page.get_by_role("alert")).to_contain_text("Save your edits first")
    await expect(seat.page.get_by_label("Value, as JSON")).to_have_value('"new"')


async def test_the_engine_s_signs_move_by_themselves(seat, entries, api) -> None:
    await seat.open("engine")
    await seat.live()
    commands = seat.page.locator("#signs dt", has_text="Hit ratio").locator("xpath=following-sibling::dd[1]")
    await expect(commands).to_have_text("no reads")
    for _ in range(3):
        await api.post("/v1/cache/get", {"key": "loose"})
    await expect(commands).to_have_text("100.0 %")


PAGES = [
    "engine", "cache/heaviest", "cache/heaviest?prefix=order%3A", "cache/heaviest?prefix=none", "cache/new",
    *(f"cache/entry?key=order%3A{name}" for name in ("1", "packed", "bytes", "large", "packed&form=hex&of=base64", "1&form=raw")),
]  # fmt: skip


async def test_pages_are_accessible_and_fit_in_light(seat, entries) -> None:
    for path in PAGES:
        await seat.open(path)
        await seat.check_accessibility()
        await seat.check_width()


async def test_pages_are_accessible_and_fit_on_a_dark_phone(phone, entries) -> None:
    for path in PAGES:
        await phone.open(path)
        await phone.check_accessibility()
        await phone.check_width()
