"""A caller of the API for tests: talks ASGI to the real application, on the engine loop, on either lane."""

import asyncio
import json as jsonlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from aerodash import engines


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return jsonlib.loads(self.body)

    def __iter__(self):
        """Unpacks as (status, json, headers)."""
        return iter((self.status, self.json, self.headers))


class ApiClient:
    """Posts JSON with one project's key. express: which lane serves it."""

    def __init__(self, key: str = "", *, express: bool = True) -> None:
        from aerodash.asgi import Application

        self.key = key
        self._application = Application(express=express)

    async def post(
        self,
        path: str,
        json: Any = None,
        *,
        headers: dict[str, str] | None = None,
        more: Sequence[tuple[str, str]] = (),
    ) -> Reply:
        """json: bytes go out as they are, anything else as JSON. more: headers that may repeat a name."""
        body = json if isinstance(json, bytes) else jsonlib.dumps(json if json is not None else {}).encode()
        return await self.request("POST", path, body, headers=headers, more=more)

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | Sequence[bytes | None] = b"",
        *,
        headers: dict[str, str] | None = None,
        more: Sequence[tuple[str, str]] = (),
    ) -> Reply:
        """body: a list is sent in as many pieces, without Content-Length; None in it hangs up there."""
        sent = {"content-type": "application/json"}
        if self.key:
            sent["x-aerostack-key"] = self.key
        pieces = [body] if isinstance(body, bytes) else body
        if isinstance(body, bytes) and method == "POST":
            sent["content-length"] = str(len(body))
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        return await self._on_engine_loop(self._call(method, path, pieces, [*sent.items(), *more]))

    async def _call(
        self, method: str, path: str, pieces: Sequence[bytes | None], headers: list[tuple[str, str]]
    ) -> Reply:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8787),
        }
        incoming = _messages(pieces)
        got: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            got.append(message)

        await self._application(scope, incoming.__anext__, send)
        start = got[0]
        return Reply(
            status=start["status"],
            headers={k.decode("latin-1").lower(): v.decode("latin-1") for k, v in start["headers"]},
            body=b"".join(m.get("body", b"") for m in got[1:]),
        )

    @staticmethod
    async def _on_engine_loop(coro: Any) -> Any:
        return await asyncio.wrap_future(engines.submit(coro))


async def _messages(pieces: Sequence[bytes | None]) -> AsyncIterator[dict[str, Any]]:
    for i, piece in enumerate(pieces):
        if piece is None:
            yield {"type": "http.disconnect"}
            break
        yield {"type": "http.request", "body": piece, "more_body": i + 1 < len(pieces)}
    await asyncio.Event().wait()  # a caller that stays: nothing more comes
