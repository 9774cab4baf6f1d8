"""A websocket client for the ASGI application, on asgiref's communicator (channels' own needs Daphne to import)."""

import json
from typing import Any

from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.test import Client

from aerodash.asgi import application

WAIT_S = 60


class Socket(ApplicationCommunicator):
    """One console socket, opened with the session of a test client."""

    def __init__(
        self, client: Client, query: str, *, origin: str = settings.AERODASH_PUBLIC_URL, host: str = ""
    ) -> None:
        session = client.cookies.get(settings.SESSION_COOKIE_NAME)
        cookie = f"{session.key}={session.value}" if session else ""
        super().__init__(
            application,
            {
                "type": "websocket",
                "path": "/ws/console",
                "query_string": query.encode(),
                "headers": [
                    (b"origin", origin.encode()),
                    (b"host", host.encode()),
                    (b"cookie", cookie.encode()),
                ],
                "subprotocols": [],
            },
        )

    async def connect(self) -> int | None:
        """None once accepted, else the code that refused."""
        await self.send_input({"type": "websocket.connect"})
        answer = await self.receive_output(WAIT_S)
        return None if answer["type"] == "websocket.accept" else answer.get("code", 1000)

    async def say(self, frame: Any) -> None:
        text = frame if isinstance(frame, str) else json.dumps(frame)
        await self.send_input({"type": "websocket.receive", "text": text})

    async def frame(self) -> dict[str, Any]:
        message = await self.receive_output(WAIT_S)
        assert message["type"] == "websocket.send", message
        return json.loads(message["text"])

    async def disconnect(self) -> None:
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(WAIT_S)
