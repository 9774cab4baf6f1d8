"""An open page of any kind, as its socket sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

from django.test import Client

from aerodash.models import Project
from tests.pages.sockets import Socket
from tests.pages.test_live import NONCE, calm, push


@asynccontextmanager
async def watching(
    client: Client, project: Project, page: str, *, first: str, **params: str
) -> AsyncIterator[Socket]:
    """A page that has said hello and has been brought up to date. first: what that update has in it."""
    opened = Socket(client, urlencode({"project": project.slug, "page": page, **params}))
    await calm()
    assert await opened.connect() is None
    try:
        await opened.say({"nonce": NONCE, "shown": [], "sent_at": 5, "refresh": 1})
        await push(opened, first)
        yield opened
    finally:
        await opened.disconnect()
