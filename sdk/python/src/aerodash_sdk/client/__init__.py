"""The synchronous client."""

from aerodash_sdk.client.client import Client

__all__ = ["Client"]
