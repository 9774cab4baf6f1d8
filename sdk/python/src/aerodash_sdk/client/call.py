"""How the verbs reach the server: a function that sends one of core's requests and returns what its reply holds."""

from collections.abc import Callable
from typing import Any

from aerodash_sdk.core.request import Request

type Call = Callable[[Request[Any]], Any]
