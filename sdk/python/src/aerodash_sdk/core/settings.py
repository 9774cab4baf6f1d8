"""Where the server is and with which key to call it."""

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aerodash_sdk.core.errors import Misconfigured

DEFAULT_URL = "http://127.0.0.1:8787"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server's address, ending in /v1, and the API key to send."""

    url: str
    api_key: str = field(repr=False)


def endpoint(base_url: str | None, api_key: str | None) -> Endpoint:
    """What was given, else AERODASH_URL and AERODASH_API_KEY, else the address of a local `aerodash up`.

    base_url: with or without the /v1 that every path begins with, and with or without a slash at its end.
    Raises Misconfigured if there is no key, or one that no header can carry, or the address is not http(s).
    """
    url = (base_url or os.environ.get("AERODASH_URL") or DEFAULT_URL).rstrip("/")
    key = api_key or os.environ.get("AERODASH_API_KEY") or ""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise Misconfigured(f"{url!r} is not the address of a server: give one such as {DEFAULT_URL}.")
    if not key:
        raise Misconfigured("There is no API key: pass api_key or set AERODASH_API_KEY.")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise Misconfigured("The API key has characters that no key has; was it copied whole?")
    return Endpoint(url if url.endswith("/v1") else f"{url}/v1", key)
