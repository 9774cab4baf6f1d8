"""Files of JSON Lines that people have uploaded: where they are kept, what they hold, and line by line.

They lie in the data folder, under imports/<project>/: the file, what is known of it, and the lines that are refused.
The keeper reads them there, so it must run on the same data folder as the server that took the file.
Everything here is plain file work, for a thread.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec
import uuid_utils.compat
from django.conf import settings

from aerodash import limits, private
from aerodash.errors import EngineDown, InvalidInput, TooLarge
from aerodash.ids import ProjectId
from cache_admin import jsonlines
from cache_admin.jsonlines import Head, Line, Tail

KEPT_S = 7 * 24 * 3600
REFUSALS_KEPT = 10_000
NAME_CHARS = 200
SPARE_BYTES = 256 * 1024 * 1024
"""The disk keeps so much for others: the database is on it."""
_BOM = b"\xef\xbb\xbf"
_SKIP_BYTES = 1024 * 1024


class Checked(msgspec.Struct, frozen=True):
    """What a check found, up to byte `at` behind line `line`.

    good: lines that can be imported; values weigh value_bytes. present: of those, how many name a key that exists.
    expired: how many are past their moment. flags: how many name a flag. bad: lines that are refused, of which the file of
    refusals has the first 10 000 and refusals_bytes. tail: what the last line says, if it is a tail.
    """

    at: int = 0
    line: int = 0
    good: int = 0
    bad: int = 0
    present: int = 0
    expired: int = 0
    flags: int = 0
    value_bytes: int = 0
    refusals_bytes: int = 0
    tail_keys: int | None = None
    is_complete: bool = False


class Facts(msgspec.Struct, frozen=True):
    """What is known of an upload. by: the person. checked: None until all of it has been looked at."""

    name: str
    size_bytes: int
    by: str
    at_ms: int
    checked: Checked | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    project: ProjectId
    id: UUID
    facts: Facts

    @property
    def path(self) -> Path:
        return _folder(self.project) / f"{self.id}.jsonl"

    @property
    def refusals_path(self) -> Path:
        return _folder(self.project) / f"{self.id}.refused.jsonl"

    @property
    def _facts_path(self) -> Path:
        return _folder(self.project) / f"{self.id}.json"

    def write(self) -> None:
        private.write(self._facts_path, msgspec.json.encode(self.facts).decode())

    def remove(self) -> None:
        for path in (self._facts_path, self.refusals_path, self.path):
            path.unlink(missing_ok=True)


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line that is not imported, and why."""

    line: int
    error: str
    field: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines with their numbers, and where the next ones begin. is_end: there are none."""

    lines: tuple[tuple[int, Line | Head | Tail | Refusal], ...]
    at: int
    line: int
    is_end: bool


def keep(project: ProjectId, *, name: str, by: str, chunks: Iterable[bytes], size_bytes: int) -> Upload:
    """Put a file away. Raises TooLarge, InvalidInput (empty, or too many kept already), EngineDown (disk full)."""
    if size_bytes > limits.IMPORT_BYTES:
        raise TooLarge(
            f"The file is larger than {limits.IMPORT_BYTES // 1024**3} GiB.", limit=limits.IMPORT_BYTES
        )
    if len(every(project)) >= limits.IMPORTS_KEPT:
        raise InvalidInput(
            f"{limits.IMPORTS_KEPT} files are kept already: remove one first.", reason="too_many", limit=limits.IMPORTS_KEPT
        )  # fmt: skip
    folder = _folder(project)
    try:
        private.folder(folder)
        if shutil.disk_usage(folder).free < size_bytes + SPARE_BYTES:
            raise EngineDown("The disk of the data folder has no room for this file.", reason="disk_full")
        facts = Facts(name.strip()[:NAME_CHARS] or "file", size_bytes, by, time.time_ns() // 1_000_000)
        upload = Upload(project, uuid_utils.compat.uuid7(), facts)
        _copy(upload, chunks)
    except OSError as exc:
        raise EngineDown(f"The data folder takes no file: {exc.strerror}.", reason="disk_error") from exc
    return upload


def find(project: ProjectId, id: str) -> Upload | None:
    """The project's upload of this id, if it is there."""
    try:
        number = UUID(id)
        facts = msgspec.json.decode((_folder(project) / f"{number}.json").read_bytes(), type=Facts)
    except (ValueError, FileNotFoundError):
        return None
    return Upload(project, number, facts)


def every(project: ProjectId) -> list[Upload]:
    """The project's uploads, newest first."""
    found = (find(project, path.stem) for path in _folder(project).glob("*.json"))
    return sorted((upload for upload in found if upload), key=lambda upload: upload.id, reverse=True)


def prune(now_s: float) -> int:
    """Remove files that are a week old, and pieces of uploads that broke off; returns how many."""
    removed = 0
    for path in _root().glob("*/*"):
        with contextlib.suppress(FileNotFoundError):
            if now_s - path.stat().st_mtime > KEPT_S:
                path.unlink()
                removed += 1
    return removed


def batch(upload: Upload, *, at: int, line: int, lines: int, size_bytes: int, now_ms: int) -> Batch:
    """The next lines from byte `at`, behind line number `line`: up to `lines` of them, or a little over size_bytes.

    Raises InvalidInput if the file is gone.
    """
    found: list[tuple[int, Line | Head | Tail | Refusal]] = []
    start = at
    try:
        with upload.path.open("rb") as file:
            file.seek(at)
            while len(found) < lines and at - start < size_bytes:
                text = file.readline(limits.IMPORT_LINE_BYTES + 1)
                if not text:
                    return Batch(tuple(found), at, line, True)
                line += 1
                if len(text) > limits.IMPORT_LINE_BYTES and not text.endswith(b"\n"):
                    _skip(file)
                    found.append((line, _too_long(line)))
                elif text := text.removeprefix(_BOM if line == 1 else b"").strip():
                    found.append((line, _read(text, line, now_ms)))
                at = file.tell()
    except FileNotFoundError:
        raise InvalidInput(
            "The uploaded file is not in this data folder any more; files are kept for a week.", field="file"
        ) from None
    return Batch(tuple(found), at, line, at >= upload.facts.size_bytes)


def add_refusals(upload: Upload, refused: list[Refusal], *, kept: int, size_bytes: int) -> int:
    """Write refusals behind the first size_bytes of their file; its size then. kept: how many it has already.

    What lies behind was written by a step that was not written down, and is written again.
    """
    with upload.refusals_path.open("ab") as file:
        file.truncate(size_bytes)
        file.seek(0, os.SEEK_END)
        for one in refused[: max(REFUSALS_KEPT - kept, 0)]:
            file.write(msgspec.json.encode(one) + b"\n")
        return file.tell()


def refusals(upload: Upload, most: int) -> list[Refusal]:
    """The first of the refused lines."""
    with contextlib.suppress(FileNotFoundError), upload.refusals_path.open("rb") as file:
        return [msgspec.json.decode(text, type=Refusal) for text, _ in zip(file, range(most), strict=False)]
    return []


def refusal_chunks(upload: Upload) -> Iterator[bytes]:
    """The file of the refused lines."""
    with contextlib.suppress(FileNotFoundError), upload.refusals_path.open("rb") as file:
        while chunk := file.read(64 * 1024):
            yield chunk


def _copy(upload: Upload, chunks: Iterable[bytes]) -> None:
    written = 0
    try:
        with upload.path.open("xb") as file:
            for chunk in chunks:
                written += file.write(chunk)
        upload.path.chmod(0o600)
        if not written:
            raise InvalidInput("The file is empty.", reason="missing", field="file")
        upload.write()
    except BaseException:
        upload.remove()
        raise


def _read(text: bytes, number: int, now_ms: int) -> Line | Head | Tail | Refusal:
    try:
        return jsonlines.read(text, now_ms)
    except InvalidInput as exc:
        return Refusal(number, exc.message, str(exc.details.get("field", "")), _key_of(text))


def _key_of(text: bytes) -> str:
    """The key of a line that is refused, where it can be told."""
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _KEY.decode(text).key[:NAME_CHARS]
    return ""


class _Key(msgspec.Struct):
    key: str = ""


_KEY = msgspec.json.Decoder(_Key)


def _too_long(number: int) -> Refusal:
    return Refusal(number, f"The line is longer than {limits.IMPORT_LINE_BYTES} bytes.")


def _skip(file: object) -> None:
    """Go to the end of a line without holding it."""
    while (rest := file.readline(_SKIP_BYTES)) and not rest.endswith(b"\n"):  # type: ignore[attr-defined]
        pass


def _folder(project: ProjectId) -> Path:
    return _root() / str(project)


def _root() -> Path:
    return Path(settings.AERODASH_DATA) / "imports"
