"""Runs the generated Python client (P1) through all of its operations and prints what it saw, as JSON.

Where the client was generated in argument 1, server address in argument 2, API key in AERODASH_API_KEY.
"""

import json
import os
import sys

sys.path.insert(0, sys.argv[1])

import aerostack
from aerostack.exceptions import ApiException

VALUE = {"name": "Zoë", "logins": 3}


def main() -> None:
    configuration = aerostack.Configuration(host=f"{sys.argv[2]}/v1")
    configuration.api_key["ApiKeyAuth"] = os.environ["AERODASH_API_KEY"]
    client = aerostack.ApiClient(configuration)
    cache, queue = aerostack.CacheApi(client), aerostack.QueueApi(client)
    seen: dict[str, object] = {"agent": client.user_agent}

    seen["set"] = cache.cache_set(aerostack.SetRequest(key="p1:a", value=VALUE, ttl=3600)).success
    got = cache.cache_get(aerostack.GetRequest(key="p1:a"))
    seen["get"] = [got.exists, json.loads(got.value)]
    cache.cache_set(aerostack.SetRequest(key="p1:text", value="plain"))
    seen["text"] = cache.cache_get(aerostack.GetRequest(key="p1:text")).value
    miss = cache.cache_get(aerostack.GetRequest(key="p1:none"))
    seen["miss"] = [miss.exists, miss.value]
    entries = [aerostack.SetManyEntry(key=f"p1:m{i}", value=i) for i in range(3)]
    seen["set many"] = cache.cache_set_many(aerostack.SetManyRequest(entries=entries)).count
    many = cache.cache_get_many(aerostack.GetManyRequest(keys=["p1:m1", "p1:none"])).results
    seen["get many"] = [[row.key, row.exists] for row in many]
    page = cache.cache_list(aerostack.ListRequest(prefix="p1:", limit=2))
    rows = list(page.keys)
    while not page.list_complete:
        page = cache.cache_list(aerostack.ListRequest(prefix="p1:", limit=2, cursor=page.cursor))
        rows += page.keys
    seen["list"] = [row.key for row in rows]
    seen["expiration"] = rows[0].expiration
    keys = cache.cache_keys(aerostack.KeysRequest(prefix="p1:m"))
    seen["keys"] = [keys.keys, keys.truncated]
    seen["expire"] = cache.cache_expire(aerostack.ExpireRequest(key="p1:m0", ttl=60)).success
    counted = aerostack.IncrementRequest(key="p1:n", amount=5, initialValue=10, ttl=60)
    seen["increment"] = cache.cache_increment(counted).value
    seen["delete"] = cache.cache_delete(aerostack.DeleteRequest(key="p1:m0")).success
    gone = cache.cache_delete_many(aerostack.DeleteManyRequest(keys=["p1:m1", "p1:none"]))
    seen["delete many"] = [gone.count, gone.deleted]
    seen["flush"] = cache.cache_flush(aerostack.FlushRequest(prefix="p1:")).deleted

    new = aerostack.EnqueueRequest(type="p1-email", data={"to": "jane"}, delay=3600)
    added = queue.queue_enqueue(new)
    seen["enqueue"] = added.success
    found = queue.queue_get_job(aerostack.JobRequest(jobId=added.job_id))
    seen["job"] = [found.exists, found.job.status, found.job.data, found.job.created_at.tzinfo is not None]
    unknown = queue.queue_get_job(aerostack.JobRequest(jobId="none"))
    seen["no job"] = [unknown.exists, unknown.job]
    queue.queue_enqueue(new)
    first = queue.queue_list_jobs(aerostack.JobsRequest(status="queued", type="p1-email", limit=1))
    last = queue.queue_list_jobs(
        aerostack.JobsRequest(status="queued", type="p1-email", limit=1, cursor=first.cursor)
    )
    seen["jobs"] = [len(first.jobs), first.list_complete, last.jobs[0].id == added.job_id, last.list_complete]
    seen["cancel"] = queue.queue_cancel_job(aerostack.CancelRequest(jobId=added.job_id)).success
    ended = queue.queue_get_job(aerostack.JobRequest(jobId=added.job_id)).job
    seen["cancelled"] = ended.status

    configuration.api_key["ApiKeyAuth"] = "ac_secret_unknown"
    try:
        cache.cache_get(aerostack.GetRequest(key="p1:a"))
    except ApiException as refusal:
        seen["refused"] = [refusal.status, json.loads(refusal.body)["code"]]
    print(json.dumps(seen))


main()
