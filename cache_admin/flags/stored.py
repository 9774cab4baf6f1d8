"""How a flag is kept: the cache entry `flag:NAME`, whose value is a JSON object with `enabled`.

Reads what the console shows of it, and changes single fields in the text itself, so that everything else in the
entry stays byte for byte. Source: flags, "The stored flag".
"""

import re
from dataclasses import dataclass

import msgspec

from aerodash import jsontext

PREFIX = "flag:"
NAME_RULE = "1 to 128 of letters, digits, dot, underscore and hyphen; the first a letter or digit"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Flag:
    """One entry under `flag:`. problem: why it is not a flag, in words; "" if it is one, and only then do the rest mean
    anything. rollout: per cent. kind: what a flag with variants answers; "" for a plain on/off flag."""

    name: str
    revision: str
    expires_at_ms: int | None
    problem: str = ""
    enabled: bool = False
    rollout: float = 100
    description: str = ""
    tags: tuple[str, ...] = ()
    kind: str = ""
    variants: int = 0
    rules: int = 0


def is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def read(key: str, value: bytes, *, revision: str, expires_at_ms: int | None) -> Flag:
    """The flag that an entry holds, or one with the problem said."""
    name = key.removeprefix(PREFIX)
    if not is_name(name):
        return Flag(name, revision, expires_at_ms, problem=f"the name is not one: {NAME_RULE}")
    stored = msgspec.json.decode(value)
    if problem := _problem(stored):
        return Flag(name, revision, expires_at_ms, problem=problem)
    description, tags = stored.get("description"), stored.get("tags")
    variants, rules = stored.get("variants") or {}, stored.get("rules") or []
    return Flag(
        name,
        revision,
        expires_at_ms,
        enabled=stored["enabled"],
        rollout=stored.get("rollout", 100),
        description=description if isinstance(description, str) else "",
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
        kind=stored.get("type", "boolean") if variants else "",
        variants=len(variants),
        rules=len(rules),
    )


def with_enabled(value: bytes, enabled: bool) -> bytes:
    """The same text with `enabled` changed, wherever it stands in the object. The text must hold a flag."""
    text = value.decode()
    parts, done = [], 0
    for member in jsontext.members(text):
        if member.name == "enabled":
            parts += [text[done : member.start], "true" if enabled else "false"]
            done = member.end
    return ("".join(parts) + text[done:]).encode()


def _problem(stored: object) -> str:
    """Why this decoded value is not a flag; "" if it is one."""
    if not isinstance(stored, dict):
        return "the value is not a JSON object"
    if "enabled" not in stored:
        return "there is no enabled"
    if not isinstance(stored["enabled"], bool):
        return "enabled is neither true nor false"
    rollout = stored.get("rollout", 100)
    if isinstance(rollout, bool) or not isinstance(rollout, (int, float)) or not 0 <= rollout <= 100:
        return "rollout is not a number from 0 to 100"
    if not isinstance(stored.get("variants") or {}, dict):
        return "variants is not an object"
    if not isinstance(stored.get("rules") or [], list):
        return "rules is not a list"
    if not isinstance(stored.get("type", ""), str):
        return "type is not a text"
    return ""
