"""POST /v1/cache/delete"""


async def test_a_deleted_entry_is_gone(api):
    await api.post("/v1/cache/set", {"key": "k", "value": 1})
    status, body, headers = await api.post("/v1/cache/delete", {"key": "k"})
    assert (status, set(body), body["success"]) == (200, {"success", "revision"}, True)
    assert headers["x-aerodash-revision"] == body["revision"]
    assert (await api.post("/v1/cache/has", {"key": "k"})).json == {"exists": False}


async def test_deleting_what_is_absent_is_a_success(api):
    status, body, _ = await api.post("/v1/cache/delete", {"key": "never"})
    assert (status, body["success"]) == (200, True)


async def test_if_revision_guards_the_entry(api):
    revision = (await api.post("/v1/cache/set", {"key": "k", "value": 1})).json["revision"]
    refused = (await api.post("/v1/cache/delete", {"key": "k", "ifRevision": "0.0"})).json
    assert refused == {"success": False, "reason": "revision_mismatch", "revision": revision}
    assert (await api.post("/v1/cache/delete", {"key": "k", "ifRevision": revision})).json["success"] is True
    gone = (await api.post("/v1/cache/delete", {"key": "k", "ifRevision": revision})).json
    assert gone == {"success": False, "reason": "absent"}


async def test_an_empty_if_revision_matches_no_entry(api):
    revision = (await api.post("/v1/cache/set", {"key": "k", "value": 1})).json["revision"]
    refused = (await api.post("/v1/cache/delete", {"key": "k", "ifRevision": ""})).json
    assert refused == {"success": False, "reason": "revision_mismatch", "revision": revision}
    assert (await api.post("/v1/cache/has", {"key": "k"})).json == {"exists": True}
