"""Entries out of the cache as JSON Lines, and into it from an uploaded file.

An export reads pages of keys in byte order and holds one at a time, however many entries there are. An import is
looked through first, every line of it, and then written by the keeper in steps, as an operation; both go on where they
were after a restart. The format is in jsonlines.py, the files are in uploads.py.
"""

import asyncio
import contextlib
import enum
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

import msgspec

from aerodash import audit, engines, operations
from aerodash.auth import Actor, Scope
from aerodash.errors import EngineDown, InvalidInput
from aerodash.ids import ProjectId
from aerodash.operations.kinds import Json, Kind, Step, Words
from aerodash.operations.record import Operation
from cache_admin import jsonlines, uploads
from cache_admin.bounds import check_keys, check_prefix
from cache_admin.bulk import FLAG_PREFIX, NAMED_KEYS, tell
from cache_admin.engine.contract import CacheEngine, ReadStep
from cache_admin.flags.reason import check_reason
from cache_admin.jsonlines import Line, Tail
from cache_admin.templatetags.cache_ui import visible
from cache_admin.uploads import Checked, Refusal, Upload

EXPORT = "cache.export"
IMPORT = "cache.import"
CHECK = "cache.import_check"

PAGE_KEYS = 500
PAGE_BYTES = 1024 * 1024
PATIENCE_S = 15.0
LOOK_EVERY_S = 0.3
CHECK_AT_ONCE_BYTES = 4 * 1024 * 1024
"""Up to so much is looked through while the person waits: a third of a second."""
CHECK_LINES = 1000
CHECK_BYTES = 1024 * 1024
WRITE_LINES = 100
WRITE_BYTES = 128 * 1024
RUNS_AT_MOST = 50


class Mode(enum.StrEnum):
    """What an import does with keys that exist."""

    OVERWRITE = "overwrite"
    SKIP = "skip"
    ONLY = "only"


@dataclass(frozen=True, slots=True)
class Choice:
    """How a file is imported. keeps_moment: entries expire when the file says; else their ttl counts from the start."""

    mode: Mode
    keeps_moment: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
    """An upload and what is done with it. check: the operation that looks through it, for a large one. runs: the imports
    of it so far, oldest first."""

    upload: Upload
    check: Operation | None
    runs: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """Some of a file's entries, and the first of the lines that are refused."""

    lines: tuple[tuple[int, Line], ...]
    refused: tuple[Refusal, ...]


# Out


async def export(
    project: ProjectId,
    actor: Actor,
    *,
    slug: str,
    prefix: str = "",
    keys: Sequence[str] | None = None,
) -> AsyncIterator[bytes]:
    """The entries under the prefix, or those of up to 1000 keys, as JSON Lines in pieces of about 1 MiB.

    A key that exists throughout is in it once, as it was when its page was read; one that is written or goes meanwhile
    may be in it or not. slug: of the project, for the head. Stands in the audit log.
    The pieces raise EngineDown if the cache stays away for 15 s: the last line then says that the file is cut off.
    Raises InvalidInput, NotAllowed, EngineDown.
    """
    actor.require(Scope.CACHE_READ)
    check_prefix(prefix)
    if keys is not None:
        check_keys(keys, limit=NAMED_KEYS)
        keys = sorted(set(keys), key=str.encode)
    first = await _read(project, prefix, None, keys)
    named = None if keys is None else "\n".join(keys)
    await audit.record(project, actor, verb=EXPORT, target=prefix, after=named)
    return _lines(project, slug, prefix, keys, first)


# In


async def receive(
    project: ProjectId, actor: Actor, *, name: str, chunks: Iterable[bytes], size_bytes: int
) -> Upload:
    """Take a file and look through it: at once if it is small, by the keeper if not, or if the cache is away.

    Raises NotAllowed; TooLarge; InvalidInput for an empty file, or one too many; EngineDown for a disk that is full and
    a database that is away.
    """
    actor.require(Scope.CACHE_WRITE)
    upload = await asyncio.to_thread(
        uploads.keep, project, name=name, by=actor.label, chunks=chunks, size_bytes=size_bytes
    )
    if upload.facts.size_bytes <= CHECK_AT_ONCE_BYTES:
        with contextlib.suppress(EngineDown):  # then the keeper does it, once the cache is back
            checked: Checked | None = Checked()
            while checked is not None:
                checked = await look_through(upload, checked)
            return await find(project, actor, id=str(upload.id)) or upload
    await operations.start(
        project, actor, kind=CHECK, params=_params(upload), total=upload.facts.size_bytes, is_exact=True,
        id=_operation_id(upload, "check"),
    )  # fmt: skip
    return upload


@engines.on_engine_loop
async def look_through(upload: Upload, so_far: Checked) -> Checked | None:
    """Look at the next lines. Returns what is known then; None once that is all, and it is written down.

    Raises InvalidInput if the file is gone, EngineDown.
    """
    engine = _engine()
    now_ms = await engine.now_ms()
    batch = await asyncio.to_thread(
        uploads.batch, upload, at=so_far.at, line=so_far.line, lines=CHECK_LINES, size_bytes=CHECK_BYTES, now_ms=now_ms,
    )  # fmt: skip
    lines = [one for _, one in batch.lines if isinstance(one, Line)]
    refused = [one for _, one in batch.lines if isinstance(one, Refusal)]
    tails = [one for _, one in batch.lines if isinstance(one, Tail)]
    refusals_bytes = so_far.refusals_bytes
    if refused:
        refusals_bytes = await asyncio.to_thread(
            uploads.add_refusals, upload, refused, kept=so_far.bad, size_bytes=so_far.refusals_bytes
        )
    checked = Checked(
        at=batch.at,
        line=batch.line,
        good=so_far.good + len(lines),
        bad=so_far.bad + len(refused),
        present=so_far.present + await engine.count_present(upload.project, [one.key for one in lines]),
        expired=so_far.expired + sum(_is_over(one, now_ms) for one in lines),
        flags=so_far.flags + sum(one.key.startswith(FLAG_PREFIX) for one in lines),
        value_bytes=so_far.value_bytes + sum(len(one.value) for one in lines),
        refusals_bytes=refusals_bytes,
        tail_keys=tails[-1].keys if tails else so_far.tail_keys,
        is_complete=tails[-1].is_complete if tails else so_far.is_complete,
    )
    if not batch.is_end:
        return checked
    done = Upload(upload.project, upload.id, msgspec.structs.replace(upload.facts, checked=checked))
    await asyncio.to_thread(done.write)
    return None


async def find(project: ProjectId, actor: Actor, *, id: str) -> Upload | None:
    """The project's upload of this id. Raises NotAllowed."""
    actor.require(Scope.CACHE_WRITE)
    return await asyncio.to_thread(uploads.find, project, id)


async def kept(project: ProjectId, actor: Actor) -> list[Upload]:
    """The project's uploads, newest first. Raises NotAllowed."""
    actor.require(Scope.CACHE_WRITE)
    return await asyncio.to_thread(uploads.every, project)


async def standing(project: ProjectId, actor: Actor, *, id: str) -> Standing | None:
    """The upload of this id and what is done with it; None if it is not there. Raises NotAllowed, EngineDown."""
    upload = await find(project, actor, id=id)
    if upload is None:
        return None
    check = None
    if upload.facts.checked is None:
        check = await operations.get(project, actor, id=str(_operation_id(upload, "check")))
    runs: list[Operation] = []
    while run := await operations.get(project, actor, id=str(_operation_id(upload, len(runs)))):
        runs.append(run)
    return Standing(upload, check, tuple(runs))


async def look(project: ProjectId, actor: Actor, *, upload: Upload, lines: int, refused: int) -> Look:
    """The first entries of a file, and the first lines that are refused. Raises NotAllowed; InvalidInput if it is gone."""
    actor.require(Scope.CACHE_WRITE)
    batch = await asyncio.to_thread(
        uploads.batch, upload, at=0, line=0, lines=lines + 1, size_bytes=PAGE_BYTES, now_ms=upload.facts.at_ms
    )
    found = [(number, one) for number, one in batch.lines if isinstance(one, Line)]
    return Look(tuple(found[:lines]), tuple(await asyncio.to_thread(uploads.refusals, upload, refused)))


async def refused_lines(upload: Upload) -> AsyncIterator[bytes]:
    """The lines of a file that are refused, as JSON Lines in pieces."""
    chunks = uploads.refusal_chunks(upload)
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk


async def start(
    project: ProjectId, actor: Actor, *, upload: Upload, choice: Choice, run: int, reason: str = ""
) -> Operation:
    """Have the keeper import a file that has been looked through; lines that were refused are left out.

    run: how many imports of it there have been: of two people who start the same one, the second is answered the
    first's operation. Raises InvalidInput for a file that is not ready, NotAllowed, EngineDown.
    """
    actor.require(Scope.CACHE_WRITE)
    checked = upload.facts.checked
    if checked is None or not checked.good:
        raise InvalidInput("There is nothing in this file that can be imported.", field="file")
    if not 0 <= run < RUNS_AT_MOST:
        raise InvalidInput(f"A file can be imported {RUNS_AT_MOST} times.", field="run")
    if checked.flags:
        await check_reason(project, key=FLAG_PREFIX, reason=reason)
    params = _params(upload) | {
        "existing": choice.mode.value, "keepsMoment": choice.keeps_moment, "fromMs": await _now_ms(),
        "flags": checked.flags > 0,
    }  # fmt: skip
    return await operations.start(
        project, actor, kind=IMPORT, params=params, total=checked.good, is_exact=True, reason=reason,
        before=f"{checked.good} keys in the file, of which {checked.present} existed; {checked.bad} lines refused",
        id=_operation_id(upload, run),
    )  # fmt: skip


async def remove(project: ProjectId, actor: Actor, *, id: str) -> bool:
    """Remove an uploaded file, unless it is being imported. Raises InvalidInput then; NotAllowed, EngineDown."""
    found = await standing(project, actor, id=id)
    if found is None:
        return False
    if any(run.is_open for run in found.runs):
        raise InvalidInput("The file is being imported: stop that first.", field="file")
    if found.check is not None and found.check.is_open:
        await operations.cancel(project, actor, id=str(found.check.id))
    await asyncio.to_thread(found.upload.remove)
    return True


async def prune() -> int:
    """Remove files that were uploaded a week ago; returns how many."""
    return await asyncio.to_thread(uploads.prune, time.time())


async def check_step(project: ProjectId, params: Json, cursor: Json | None) -> Step:
    """One step of looking through a file: up to 1000 lines. Raises InvalidInput if the file is gone, EngineDown."""
    upload = await _uploaded(project, params)
    so_far = Checked() if cursor is None else msgspec.convert(dict(cursor), Checked)
    checked = await look_through(upload, so_far)
    if checked is None:
        return Step(None, done=upload.facts.size_bytes - so_far.at)
    return Step(msgspec.to_builtins(checked), done=checked.at - so_far.at)


async def import_step(project: ProjectId, params: Json, cursor: Json | None) -> Step:
    """One step of an import: up to 100 entries, in one instant. Raises InvalidInput if the file is gone, EngineDown.

    Done twice it writes the same again; with "skip" what the first time wrote counts as existing then.
    """
    upload = await _uploaded(project, params)
    so_far = _Place() if cursor is None else msgspec.convert(dict(cursor), _Place)
    from_ms, mode = int(str(params["fromMs"])), Mode(str(params["existing"]))
    batch = await asyncio.to_thread(
        uploads.batch, upload, at=so_far.at, line=so_far.line, lines=WRITE_LINES, size_bytes=WRITE_BYTES, now_ms=from_ms,
    )  # fmt: skip
    entries = [
        one.entry(from_ms, keeps_moment=bool(params["keepsMoment"]))
        for _, one in batch.lines
        if isinstance(one, Line)
    ]
    wrote = await _engine().write_step(
        project, entries, if_absent=mode is Mode.SKIP, if_present=mode is Mode.ONLY
    )
    place = _Place(batch.at, batch.line, so_far.refused + wrote.refused, so_far.expired + wrote.expired)
    return Step(
        None if batch.is_end else msgspec.to_builtins(place),
        done=wrote.written,
        skipped=wrote.refused + wrote.expired,
        result={"refused": place.refused, "expired": place.expired, "revision": wrote.revision},
    )


class _Place(msgspec.Struct, frozen=True):
    """How far an import is: the byte and the number of lines before it, and how many entries were left out so far."""

    at: int = 0
    line: int = 0
    refused: int = 0
    expired: int = 0


async def _lines(
    project: ProjectId, slug: str, prefix: str, keys: Sequence[str] | None, page: ReadStep
) -> AsyncIterator[bytes]:
    yield jsonlines.head(slug, prefix, await _now_ms())
    number = 0
    while True:
        now_ms = await _now_ms()
        number += len(page.entries)
        yield b"".join(jsonlines.line(entry, now_ms) for entry in page.entries)
        if keys is not None:
            keys = keys[page.looked_at :]
        if page.last is None if keys is None else not keys:
            break
        try:
            page = await _read_patiently(project, prefix, page.last, keys)
        except EngineDown as exc:
            yield jsonlines.tail(number, is_complete=False, why=exc.message)
            raise
    yield jsonlines.tail(number)


async def _read_patiently(
    project: ProjectId, prefix: str, after: str | None, keys: Sequence[str] | None
) -> ReadStep:
    """The next page, also if the cache is away for a moment."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await _read(project, prefix, after, keys)
        except EngineDown:
            if time.monotonic() >= deadline:
                raise
        await asyncio.sleep(LOOK_EVERY_S)


@engines.on_engine_loop
async def _read(project: ProjectId, prefix: str, after: str | None, keys: Sequence[str] | None) -> ReadStep:
    return await _engine().read_step(
        project, prefix, after=after, limit=PAGE_KEYS, size_bytes=PAGE_BYTES, keys=keys
    )


@engines.on_engine_loop
async def _now_ms() -> int:
    return await _engine().now_ms()


async def _uploaded(project: ProjectId, params: Json) -> Upload:
    found = await asyncio.to_thread(uploads.find, project, str(params["file"]))
    if found is None:
        raise InvalidInput(
            "The uploaded file is not in this keeper's data folder: it was removed, or the keeper runs on another one.",
            field="file",
        )
    return found


def _params(upload: Upload) -> dict[str, object]:
    return {"file": str(upload.id), "name": upload.facts.name}


def _operation_id(upload: Upload, what: object) -> UUID:
    """The id of one thing that is done with a file, so that it cannot be begun twice."""
    return uuid5(upload.id, str(what))


def _is_over(one: Line, now_ms: int) -> bool:
    return one.expires_at_ms is not None and one.expires_at_ms <= now_ms


def _left(params: Json) -> str:
    """Why an import leaves entries as they are."""
    existing = {Mode.SKIP: "exist already, or ", Mode.ONLY: "do not exist, or ", Mode.OVERWRITE: ""}
    return f"{existing[Mode(str(params['existing']))]}had expired"


def _page(params: Json) -> str:
    return f"cache/import/{params['file']}"


def _engine() -> CacheEngine:
    return engines.get("cache")


OPERATIONS = (
    Kind(
        name=CHECK,
        scope=Scope.CACHE_WRITE,
        sees=Scope.CACHE_WRITE,
        unit="byte",
        step=check_step,
        words=lambda params: Words(
            "Checking", "Checked", "the file", visible(str(params["name"])), page=_page(params)
        ),
        tell=lambda project, params: None,
    ),
    Kind(
        name=IMPORT,
        scope=Scope.CACHE_WRITE,
        sees=Scope.CACHE_READ,
        unit="key",
        step=import_step,
        words=lambda params: Words(
            "Importing",
            "Imported",
            "the file",
            visible(str(params["name"])),
            page=_page(params),
            left=_left(params),
        ),
        tell=lambda project, params: tell(project, flags=bool(params["flags"])),
    ),
)
