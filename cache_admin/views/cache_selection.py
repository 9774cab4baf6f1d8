"""What the bulk pages are about: every key under a prefix, or the keys that somebody chose on the cache page.

The address says it, so that the pages can be left, come back to and sent to somebody else.
"""

import base64
import binascii
import zlib
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from aerodash import limits
from aerodash.auth import Scope
from aerodash.console.access import Access, project_page
from aerodash.errors import InvalidInput
from aerodash.templatetags.aerodash_ui import grouped
from cache_admin.bounds import check_keys, check_prefix, from_cursor
from cache_admin.bulk import NAMED_KEYS
from cache_admin.templatetags.cache_ui import visible

ADDRESS_CHARS = 7000
"""Proxies take addresses of 8 KB. A page of keys of a hundred random bytes each fits."""
PAGES = {"delete": "cache-delete", "ttl": "cache-ttl", "export": "cache-export"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Every key under the prefix, or with keys those only, which were chosen while the page showed the prefix."""

    prefix: str = ""
    keys: tuple[str, ...] | None = None

    @property
    def is_everything(self) -> bool:
        return self.keys is None and not self.prefix

    def said(self, number: int) -> str:
        """ "1,200 keys under session:", "3 chosen keys"."""
        keys = f"key{'' if number == 1 else 's'}"
        if self.keys is not None:
            return f"{grouped(number)} chosen {keys}"
        return f"{grouped(number)} {keys}" + (f" under {visible(self.prefix)}" if self.prefix else "")

    def query(self, **more: str) -> str:
        """The part of an address that says this, from its "?"; "" if there is nothing to say."""
        named = {"prefix": self.prefix, "keys": "" if self.keys is None else pack(self.keys), **more}
        text = urlencode({name: value for name, value in named.items() if value})
        return f"?{text}" if text else ""

    def url(self, access: Access, page: str, **more: str) -> str:
        return reverse(page, args=[access.project.slug]) + self.query(**more)

    def back_url(self, access: Access) -> str:
        """The cache page at the prefix."""
        return Chosen(self.prefix).url(access, "cache")


def chosen_by(request: HttpRequest) -> Chosen:
    """What the address says. Raises InvalidInput for keys that no page of ours wrote there."""
    prefix, packed = request.GET.get("prefix", ""), request.GET.get("keys", "")
    check_prefix(prefix)
    return Chosen(prefix, unpack(packed) if packed else None)


@require_POST
@project_page(Scope.CACHE_READ)
async def cache_selection(request: HttpRequest, access: Access) -> HttpResponse:
    """/p/<slug>/cache/selection: from the chosen rows, or from all under the prefix, to the page of what to do with them."""
    page = PAGES.get(request.POST.get("verb", ""))
    if page is None:
        raise InvalidInput(f"verb is none of {', '.join(PAGES)}.", field="verb")
    prefix = request.POST.get("prefix", "")
    if request.POST.get("all"):
        return HttpResponseRedirect(Chosen(prefix).url(access, page))
    rows = request.POST.getlist("key")
    keys = {key for row in rows if (key := from_cursor(row, prefix=prefix)) is not None}
    if not keys:
        messages.info(request, "No key was chosen: tick some, or the box for all of them.")
        return HttpResponseRedirect(Chosen(prefix).back_url(access))
    check_keys(list(keys), limit=NAMED_KEYS)
    chosen = Chosen(prefix, tuple(sorted(keys, key=str.encode)))
    if len(pack(chosen.keys or ())) > ADDRESS_CHARS:
        raise InvalidInput(
            "These keys are too long to be chosen together: choose fewer at once.", field="key"
        )
    return HttpResponseRedirect(chosen.url(access, page))


def pack(keys: tuple[str, ...]) -> str:
    """Keys as text for an address: they may hold any character."""
    packed = zlib.compress(msgspec.msgpack.encode(keys), 9)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode("ascii")


def unpack(text: str) -> tuple[str, ...]:
    """The keys that `pack` made the text of. Raises InvalidInput for any other."""
    try:
        packed = base64.b64decode(
            text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
        inflated = zlib.decompressobj()
        plain = inflated.decompress(packed, NAMED_KEYS * (limits.KEY_BYTES + 8))
        keys = msgspec.msgpack.decode(plain, type=tuple[str, ...])
    except (UnicodeError, binascii.Error, zlib.error, msgspec.DecodeError):
        raise InvalidInput(
            "The address does not name keys in a way that this console does.", field="keys"
        ) from None
    check_keys(keys, limit=NAMED_KEYS)
    return keys
