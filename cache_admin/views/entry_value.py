"""Editing a value: review what changes, then save; and what to do when somebody else saved first.

One form goes through all steps by POST, so that each works without scripts and nothing typed is lost: `value` is the
text, `form` how it is laid out, `revision` and `base` what the edit began with.
"""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from aerodash import jsontext
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.console.answer import FORM_AGAIN, answer
from aerodash.errors import InvalidInput
from cache_admin import edits, merge
from cache_admin.queries import Entry
from cache_admin.templatetags.cache_ui import visible
from cache_admin.views.entry import (
    EDIT_BYTES,
    FORMS,
    PRETTY,
    RAW,
    View,
    frame,
    look,
    page,
    the_key,
    typed_text,
    url_of,
    whole,
)
from cache_admin.views.production import asks_first, is_typed, reason_of


@require_POST
@project_page(Scope.CACHE_WRITE)
async def entry_value(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/cache/entry/value: one step of an edit; 409 if somebody else wrote, 422 for what cannot be saved."""
    return await Edit(request, access).answer()


class Edit:
    """One step of an edit, as the form sent it."""

    def __init__(self, request: HttpRequest, access: Access) -> None:
        self.request, self.access = request, access
        self.key = the_key(request)
        self.text = typed_text(request, "value")
        self.form = RAW if request.POST.get("form") == RAW else PRETTY
        self.revision = request.POST.get("revision", "")
        self.base = typed_text(request, "base")

    async def answer(self) -> HttpResponse:
        step = self.request.POST.get("step", "review")
        found = await look(self.access, self.key)
        if found is None:
            return self._gone()
        if not found.is_whole:
            return self._gone(is_too_large=True)
        current = found.entry
        if step == "edit":
            return await self._editor(current)
        wanted = step.removeprefix("as-")
        if wanted in FORMS and not self._is_edited(current):
            return HttpResponseRedirect(url_of(self.access, self.key, form=wanted))
        if wanted in FORMS and wanted not in (PRETTY, RAW):
            error = f"{FORMS[wanted]} shows what is stored. Save your edits first, or undo them."
            return await self._editor(current, error=error)
        try:
            value = self._value()
        except InvalidInput as exc:
            return await self._editor(current, error=exc.message)
        if step in {"as-raw", "as-pretty"}:
            return await self._relaid(current, value, RAW if step == "as-raw" else PRETTY)
        if current.revision != self.revision:
            if jsontext.pretty(current.value.decode()) != self.base:
                return self._conflict(current, value)
            self.revision = current.revision  # its expiry or metadata changed, and those are kept
        if step == "merge":
            return await self._merge(current, value)
        if value == current.value:
            return await self._editor(current, error="Nothing to save: the text is what is stored.")
        if step == "save":
            return await self._save(current, value)
        return self._review(current, value)

    def _is_edited(self, current: Entry) -> bool:
        stored = current.value.decode()
        return self.text != (jsontext.pretty(stored) if self.form == PRETTY else stored)

    def _value(self) -> bytes:
        """What would be stored: Raw exactly as typed, Pretty without the space that it added."""
        if len(self.text.encode()) > EDIT_BYTES:
            raise InvalidInput(
                f"The text is over the {EDIT_BYTES // 1024} KiB that can be edited here; use the API."
            )
        text = jsontext.check(self.text).decode()
        return (jsontext.compact(text) if self.form == PRETTY else text.strip(" \t\r\n")).encode()

    async def _editor(self, current: Entry, *, error: str = "") -> HttpResponse:
        context = await page(
            self.access,
            whole(current),
            view=View(self.form),
            text=self.text,
            opened=(self.revision, self.base),
            error=error,
        )
        return self._page("entry.html", context, status=FORM_AGAIN if error else 200)

    async def _relaid(self, current: Entry, value: bytes, form: str) -> HttpResponse:
        """The same text in the other layout; what was not edited shows as it is stored."""
        text = value.decode()
        if form == RAW and jsontext.compact(text) == jsontext.compact(current.value.decode()):
            text = current.value.decode()
        if form == PRETTY:
            text = jsontext.pretty(text)
        context = await page(
            self.access, whole(current), view=View(form), text=text, opened=(self.revision, self.base)
        )
        return self._page("entry.html", context)

    def _review(self, current: Entry, value: bytes, *, error: str = "") -> HttpResponse:
        before, after = jsontext.pretty(current.value.decode()), jsontext.pretty(value.decode())
        lines = merge.diff(before, after)
        context = {
            **self._fields(),
            "lines": lines,
            "changed": max(sum(line.sign == sign for line in lines) for sign in "+-"),
            "only_spacing": not lines,
            "size_bytes": len(value),
            "size_before": len(current.value),
            "typed": visible(self.key) if asks_first(self.access, self.key) else "",
            "reason": reason_of(self.request),
            "error": error,
        }
        return self._page("entry-review.html", context, status=FORM_AGAIN if error else 200)

    async def _save(self, current: Entry, value: bytes) -> HttpResponse:
        if asks_first(self.access, self.key) and not is_typed(self.request, self.key):
            return self._review(current, value, error="Nothing was saved: the name typed is another one.")
        return await self._store(current, value)

    async def _store(self, current: Entry, value: bytes) -> HttpResponse:
        try:
            result = await edits.save_value(
                self.access.project_id, self.access.actor, key=self.key, value=value, revision=self.revision,
                reason=reason_of(self.request),
            )  # fmt: skip
        except InvalidInput as exc:
            return self._review(current, value, error=f"Nothing was saved. {exc.message}")
        if result.done:
            messages.success(self.request, "Saved the value. Expiry and metadata are as they were.")
            return HttpResponseRedirect(url_of(self.access, self.key))
        if result.current is None:
            return self._gone()
        if len(result.current.value) > EDIT_BYTES:
            return self._gone(is_too_large=True)
        return self._conflict(result.current, value)

    def _conflict(self, current: Entry, value: bytes) -> HttpResponse:
        """Somebody wrote since the edit began: nothing is saved, both changes stand side by side."""
        theirs, yours = jsontext.pretty(current.value.decode()), jsontext.pretty(value.decode())
        hunks = merge.merge(self.base, theirs, yours)
        mine = [hunk for hunk in hunks if hunk.kind in {"yours", "clash", "both"}]
        context = {
            **self._fields(),
            "entry": current,
            "rows": [(number, hunk.kind, pairs(hunk)) for number, hunk in enumerate(hunks)],
            "clashes": [
                (number, label(hunk), hunk) for number, hunk in enumerate(hunks) if hunk.kind == "clash"
            ],
            "mine": len(mine),
            "opened": self.revision,
            "revision": current.revision,
            "theirs": theirs,
            "yours": yours,
        }
        return self._page("entry-conflict.html", context, status=409)

    async def _merge(self, current: Entry, value: bytes) -> HttpResponse:
        theirs, yours = jsontext.pretty(current.value.decode()), jsontext.pretty(value.decode())
        hunks = merge.merge(self.base, theirs, yours)
        choices = {number: self.request.POST.get(f"pick-{number}", "") for number in range(len(hunks))}
        merged = merge.resolve(hunks, choices)
        self.text, self.form, self.base = merged, PRETTY, theirs
        try:
            together = self._value()
        except InvalidInput as exc:
            return await self._editor(
                current, error=f"The two changes do not fit together as they are. {exc.message}"
            )
        if together == current.value:
            messages.success(self.request, "Kept theirs; there was nothing left to save.")
            return HttpResponseRedirect(url_of(self.access, self.key))
        if asks_first(self.access, self.key):
            return self._review(current, together)
        return await self._store(current, together)

    def _gone(self, *, is_too_large: bool = False) -> HttpResponse:
        """The entry was deleted, has expired or became too large to compare with: the text is kept."""
        return self._page("entry-gone.html", {**self._fields(), "is_too_large": is_too_large}, status=409)

    def _fields(self) -> dict[str, object]:
        return {
            **frame(self.access, self.key),
            "text": self.text,
            "form": self.form,
            "revision": self.revision,
            "base": self.base,
        }

    def _page(self, template: str, context: dict[str, object], *, status: int = 200) -> HttpResponse:
        return answer(self.request, f"cache_admin/{template}", context, status=status)


def pairs(hunk: merge.Hunk) -> list[tuple[str | None, str | None]]:
    """The lines of a hunk side by side, (theirs, yours); None where a side has no line."""
    height = max(len(hunk.theirs), len(hunk.yours))
    left = [*hunk.theirs, *[None] * (height - len(hunk.theirs))]
    right = [*hunk.yours, *[None] * (height - len(hunk.yours))]
    return list(zip(left, right, strict=True))


def label(hunk: merge.Hunk) -> str:
    """What a clash is about: the name on its first line, or that line."""
    first = next(iter((*hunk.base, *hunk.theirs, *hunk.yours)), "").strip().rstrip(",")
    name, colon, _ = first.partition('": ')
    return name + '"' if colon else first[:40]
