"""Bare django-ninja endpoints over redis-py: what the express lane is measured against (bench/cache.py).

Nothing of AeroDash is in it, and nothing that would slow it down: no middleware, no authentication, one redis-py client
with hiredis. /cache/get and /cache/set take and give the JSON of AeroDash's operations of these names, checked against
a schema each. /raw/<key> does not even that: values pass through as bytes, nothing is checked.

    BENCH_REDIS_PORT=… granian --interface asginl bench.ninja_app:application
"""

import json
import os
from typing import Any

import redis.asyncio
from django.conf import settings

settings.configure(
    SECRET_KEY="bench",
    ROOT_URLCONF="bench.ninja_app",
    ALLOWED_HOSTS=["127.0.0.1"],
    MIDDLEWARE=[],
    USE_TZ=True,
)

from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

application = get_asgi_application()

from ninja import NinjaAPI, Schema  # noqa: E402

api = NinjaAPI(openapi_url=None)
client = redis.asyncio.Redis(port=int(os.environ["BENCH_REDIS_PORT"]))


class Key(Schema):
    key: str


class Entry(Schema):
    key: str
    value: Any


class Found(Schema):
    value: Any
    exists: bool


class Done(Schema):
    success: bool


@api.post("/cache/get", response=Found)
async def get(request: HttpRequest, body: Key) -> dict[str, Any]:
    text = await client.get(body.key)
    return {"value": None if text is None else json.loads(text), "exists": text is not None}


@api.post("/cache/set", response=Done)
async def set(request: HttpRequest, body: Entry) -> dict[str, Any]:
    await client.set(body.key, json.dumps(body.value))
    return {"success": True}


@api.get("/raw/{key}")
async def get_raw(request: HttpRequest, key: str) -> HttpResponse:
    return HttpResponse(await client.get(key), content_type="application/json")


@api.put("/raw/{key}")
async def set_raw(request: HttpRequest, key: str) -> HttpResponse:
    await client.set(key, request.body)
    return HttpResponse(b'{"success":true}', content_type="application/json")


urlpatterns = [path("", api.urls)]
