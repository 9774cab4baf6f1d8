"""Runs in the published client's own environment and prints what it saw, as JSON.

Server address in argument 1, API key in AERODASH_API_KEY.
"""

import json
import os
import sys

from aerostack import SDK
from aerostack.errors import SDKBaseError

KEY = "p0:user:123"
VALUE = {"name": "Zoë", "plan": "pro", "logins": 3, "tags": ["a", None, 1.5]}


def main() -> None:
    url, key = sys.argv[1], os.environ["AERODASH_API_KEY"]
    seen = {}
    with SDK(api_key_auth=key, server_url=f"{url}/v1") as sdk:
        seen["set"] = sdk.cache.cache_set(request={"key": KEY, "value": VALUE, "ttl": 3600}).success
        hit = sdk.cache.cache_get(request={"key": KEY})
        seen["get"] = [hit.exists, hit.value]
        miss = sdk.cache.cache_get(request={"key": "p0:nobody"})
        seen["miss"] = [miss.exists, miss.value]
        job = sdk.queue.queue_enqueue(
            request={"type": "send-email", "data": {"to": "jane@example.com"}, "delay": 3600}
        )
        seen["enqueue"] = [job.success, job.job_id]
    with SDK(api_key_auth=key, server_url=f"{url}/v1/") as sdk:
        seen["slash"] = sdk.cache.cache_get(request={"key": KEY}).exists
    with SDK(api_key_auth="ac_secret_unknown", server_url=f"{url}/v1") as sdk:
        seen["refused get"] = refusal(lambda: sdk.cache.cache_get(request={"key": KEY}))
        seen["refused enqueue"] = refusal(
            lambda: sdk.queue.queue_enqueue(request={"type": "send-email", "data": {}})
        )
    with SDK(api_key_auth=key, server_url=f"{url}/v1") as sdk:
        seen["bad ttl"] = refusal(lambda: sdk.cache.cache_set(request={"key": KEY, "value": 1, "ttl": 0}))
    print(json.dumps(seen))


def refusal(call) -> list:
    try:
        return ["accepted", repr(call())]
    except SDKBaseError as error:
        return [error.status_code, json.loads(error.body)["code"]]


main()
