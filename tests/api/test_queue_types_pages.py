"""Types are listed page by page, and a project has so many of them."""

from aerodash import limits
from tests.api.queue_calls import enqueue, refused

PATH = "/v1/queue/types"


async def test_pages_list_each_type_once_by_name(api):
    for type in ("c", "a", "e"):
        await enqueue(api, type)
    for type in ("b", "c", "d"):
        await api.post("/v1/queue/configure", {"type": type, "settings": {"concurrency": 1}})
    names, cursor = [], {}
    for left in (True, True, False):
        reply = await api.post(PATH, {"limit": 2, **cursor})
        assert reply.status == 200, reply.body
        names += [row["type"] for row in reply.json["types"]]
        assert reply.json["list_complete"] is not left
        assert ("cursor" in reply.json) is left
        cursor = {"cursor": reply.json.get("cursor")}
    assert names == ["a", "b", "c", "d", "e"]


async def test_bad_pages_are_refused(api):
    refused(await api.post(PATH, {"limit": 0}), "limit")
    refused(await api.post(PATH, {"limit": 1001}), "limit")
    refused(await api.post(PATH, {"cursor": "a b"}), "cursor")


async def test_a_type_too_many_is_refused_in_one_sentence(api, monkeypatch):
    await enqueue(api, "a")
    monkeypatch.setattr(limits, "JOB_TYPES", 1)
    for path, body in (
        ("enqueue", {"type": "b", "payload": 1}),
        ("configure", {"type": "b", "settings": {}}),
    ):
        reply = await api.post(f"/v1/queue/{path}", body)
        refused(reply, "type")
        assert reply.json["details"]["reason"] == "too_many_types"
    await enqueue(api, "a")
