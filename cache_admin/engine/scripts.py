"""The Lua scripts, one file a verb. Each that changes entries or indexes gets _shared.lua's functions in front of its body."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "lua"
_SHARED = (_FOLDER / "_shared.lua").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text and the digest that the store knows it by once loaded."""

    name: str
    text: bytes
    sha: bytes


def _load(name: str) -> Script:
    shebang, _, body = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8").partition("\n")
    shared = "" if "no-writes" in shebang else _SHARED
    text = f"{shebang}\n{shared}{body}".encode()
    return Script(name, text, hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())


SET = _load("set")
SET_MANY = _load("set_many")
DELETE = _load("delete")
DELETE_MANY = _load("delete_many")
EXPIRE = _load("expire")
INCREMENT = _load("increment")
FLUSH = _load("flush")
EXPIRE_STEP = _load("expire_step")
READ_STEP = _load("read_step")
WRITE_STEP = _load("write_step")
LIST = _load("list")
COUNT = _load("count")
TREE = _load("tree")
PURGE = _load("purge")
TALLY = _load("tally")
STATS = _load("stats")
SAMPLE = _load("sample")

SET_SHARED = 4
"""How many of SET's keys are the project's; the others are entries."""

ALL = (
    SET, SET_MANY, DELETE, DELETE_MANY, EXPIRE, INCREMENT, FLUSH, LIST, COUNT,
    TREE, PURGE, TALLY, STATS, EXPIRE_STEP, READ_STEP, WRITE_STEP, SAMPLE,
)  # fmt: skip
