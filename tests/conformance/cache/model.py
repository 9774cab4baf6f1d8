"""What the cache promises, said once more as a plain dictionary. Time is a set of keys that may be told to expire."""

from dataclasses import dataclass

from cache_admin.engine.contract import NewEntry

INT64 = range(-(2**63), 2**63)


@dataclass
class Held:
    value: bytes
    metadata: bytes | None
    ttl_s: int | None
    revision: str = ""


class Model:
    def __init__(self) -> None:
        self.entries: dict[str, Held] = {}

    def set(self, entry: NewEntry, *, keep_ttl: bool = False) -> None:
        old = self.entries.get(entry.key)
        metadata = (old.metadata if old else None) if entry.metadata is None else entry.metadata
        ttl_s = (old.ttl_s if old else None) if keep_ttl else entry.ttl_s
        self.entries[entry.key] = Held(entry.value, None if metadata == b"{}" else metadata, ttl_s)

    def refusal(self, key: str, *, if_revision: str | None, if_absent: bool, if_present: bool) -> str | None:
        old = self.entries.get(key)
        if if_absent and old:
            return "exists"
        if (if_present or if_revision is not None) and not old:
            return "absent"
        if if_revision is not None and old and old.revision != if_revision:
            return "revision_mismatch"
        return None

    def delete(self, keys: list[str]) -> int:
        return sum(self.entries.pop(key, None) is not None for key in keys)

    def increment(self, key: str, amount: int, initial_value: int, ttl_s: int | None) -> bytes | str:
        old = self.entries.get(key)
        if old is None:
            number = initial_value + amount
            if number not in INT64:
                return "counter_overflow"
            self.entries[key] = Held(b"%d" % number, None, ttl_s)
            return b"%d" % number
        try:
            number = int(old.value)
        except ValueError:
            return "not_an_integer"
        if number not in INT64:
            return "not_an_integer"
        if number + amount not in INT64:
            return "counter_overflow"
        old.value = b"%d" % (number + amount)
        return old.value

    def keys(self, prefix: str = "") -> list[str]:
        return sorted((k for k in self.entries if k.startswith(prefix)), key=str.encode)

    def tree(self, prefix: str) -> tuple[list[tuple[str, int]], list[str]]:
        folders: dict[str, int] = {}
        loose = []
        for key in self.keys(prefix):
            head, colon, _ = key[len(prefix) :].partition(":")
            if colon:
                folders[f"{prefix}{head}:"] = folders.get(f"{prefix}{head}:", 0) + 1
            else:
                loose.append(key)
        return list(folders.items()), loose
