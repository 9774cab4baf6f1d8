"""Pages at their edges: long names in narrow windows, and what a page says when the server does not answer."""

import asyncio

import pytest
from playwright.async_api import expect

from aerodash import engines
from aerodash.auth import system_actor
from aerodash.ids import ProjectId
from cache_admin import services
from jobs_admin import services as jobs
from jobs_admin.engine.contract import RunResult, WorkerInfo

pytestmark = pytest.mark.browser

LONG_TYPE = "a-type-with-a-name-as-long-as-they-come." + "x" * 80
LONG_KEY = "k" * 1024


@pytest.fixture
def long_names(project, enqueue) -> str:
    """A job with a long type in a production project, and a long and a very short key; the job's id."""
    project.environment = "production"
    project.save()
    for key in (LONG_KEY, ":"):
        engines.run(
            services.set_entry(ProjectId(project.pk), system_actor(), key=key, value=b'{"a":[1,2,3]}')
        )
    return enqueue(LONG_TYPE)


@pytest.mark.parametrize("width", [360, 768, 1024, 1440])
async def test_long_names_fit_at_any_width(seat, long_names, width) -> None:
    await seat.page.set_viewport_size({"width": width, "height": 800})
    paths = ["jobs", f"jobs/{long_names}", "cache", f"cache/entry?key={LONG_KEY}"]
    paths += [f"cache/entry/delete?key={LONG_KEY}", "flags"]
    for path in paths:
        await seat.open(path)
        await seat.check_width()
        await seat.check_accessibility()
    await seat.open(f"cache/entry/delete?key={LONG_KEY}")
    inside = await seat.page.eval_on_selector(".ad-confirm", "box => box.scrollWidth - box.clientWidth")
    assert inside <= 0, "the confirmation is wider than its box"


async def test_on_a_phone_a_row_without_an_error_takes_two_lines(phone, enqueue) -> None:
    job = await asyncio.to_thread(enqueue, "send-email")
    await phone.open("jobs")
    row = await phone.page.locator(f"#row-{job}").bounding_box()
    assert row["height"] <= 72, "the button took a line of its own"


async def test_an_entrys_tools_stand_on_one_line_on_a_phone(phone, project) -> None:
    await services.set_entry(ProjectId(project.pk), system_actor(), key="a", value=b'{"a":1}')
    await phone.open("cache/entry?key=a")
    views = await phone.page.get_by_role("group", name="Show it as").bounding_box()
    tool = await phone.page.get_by_role("link", name="Download the value").bounding_box()
    assert abs((views["y"] + views["height"] / 2) - (tool["y"] + tool["height"] / 2)) < 8


async def test_an_action_that_gets_no_answer_says_so(seat, enqueue) -> None:
    job = await asyncio.to_thread(enqueue, "send-email")
    await seat.open("jobs")
    await seat.live()
    cancel = seat.page.locator(f"#row-{job}").get_by_role("button", name="Cancel job")
    await seat.page.context.set_offline(True)
    await cancel.click()
    await expect(seat.page.locator("#messages")).to_contain_text("No answer came from the server")
    await seat.check_accessibility()
    await seat.page.context.set_offline(False)
    assert seat.complaints, "the browser logs the request that it could not send"
    assert all("Failed to" in text for text in seat.complaints), seat.complaints
    seat.complaints.clear()

    await cancel.click()
    await expect(seat.page.locator(f"#row-{job}")).to_contain_text("cancelled")
    await expect(seat.page.locator("#messages")).not_to_contain_text("No answer")


async def test_an_answer_that_is_no_fragment_is_said_too(seat, enqueue) -> None:
    job = await asyncio.to_thread(enqueue, "send-email")
    await seat.open("jobs")
    await seat.page.route(
        "**/cancel",
        lambda route: route.fulfill(status=502, body="Bad gateway", headers={"X-Request-Id": "r-1"}),
    )
    await seat.page.locator(f"#row-{job}").get_by_role("button", name="Cancel job").click()
    await expect(seat.page.locator("#messages")).to_contain_text("(502, request r-1)")
    assert all("status of 502" in text for text in seat.complaints), seat.complaints
    seat.complaints.clear()


async def test_escape_closes_the_project_switcher(seat) -> None:
    await seat.open("jobs")
    switcher = seat.page.locator("details.ad-switch")
    await switcher.locator("summary").click()
    await expect(switcher).to_have_attribute("open", "")
    await seat.page.keyboard.press("Escape")
    await expect(switcher).not_to_have_attribute("open", "")
    await expect(switcher.locator("summary")).to_be_focused()


async def test_a_job_that_becomes_due_says_so_although_nothing_was_written(seat, enqueue) -> None:
    # A busy machine may take longer to open the page than a job has: then a later one is looked at.
    enqueued = 0
    for delay_s in (4, 15, 60):
        enqueued += 1
        job = await asyncio.to_thread(lambda: enqueue("send-email", delay_s=delay_s))  # noqa: B023 - run at once
        await seat.open("jobs")
        await seat.live()
        row = seat.page.locator(f"#row-{job}")
        if "scheduled" in await row.inner_text():
            break
    else:
        pytest.fail("the page was never there in time")
    await expect(row).to_contain_text("pending")
    await expect(seat.page.locator("#finer")).to_contain_text(f"{enqueued} due now")


async def test_a_long_traceback_scrolls_in_its_own_box(seat, enqueue, project) -> None:
    job = await asyncio.to_thread(lambda: enqueue("send-email", max_retries=0))
    (leased,) = await jobs.lease(
        ProjectId(project.pk),
        system_actor(),
        types=["send-email"],
        limit=1,
        lease_s=60,
        wait_s=5,
        worker=WorkerInfo("w1", "mailer-1", 11),
    )
    lines = "".join(f'  File "/app/{n}.py", line {n}, in f\n' for n in range(400))
    result = RunResult(
        job,
        leased.lease_token,
        "failed",
        error_type="E",
        error_message="e",
        traceback=f"Traceback (most recent call last):\n{lines}E: e",
    )
    await jobs.settle(ProjectId(project.pk), system_actor(), results=[result])
    await seat.open(f"jobs/{job}")
    box = await seat.page.get_by_role("region", name="Traceback").bounding_box()
    assert box["height"] <= 0.6 * 900
    await seat.check_accessibility()


async def test_a_server_that_could_not_look_does_not_make_the_page_younger(seat) -> None:
    await seat.open("cache")
    await seat.live()
    before, after = await seat.page.evaluate(
        """() => {
          const footer = document.getElementById("live");
          const asOf = () => footer.querySelector('[data-when="degraded"] [data-as-of]').textContent;
          const say = (frame) => footer.dispatchEvent(new CustomEvent("htmx:ws:after:message:incoming",
            { detail: { message: { data: JSON.stringify(frame) } } }));
          const before = asOf();
          say({ seq: 1, state: "degraded", at: Date.now() + 3600e3 });
          return [before, asOf()];
        }"""
    )
    assert before == after
