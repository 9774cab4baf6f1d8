"""The right to do the housekeeping, held by one process at a time over all machines on one database.

The database's clock alone decides what has expired. Source: architecture, "keeper (exactly one at a time)".
"""

from datetime import timedelta

from django.db.models import F, Q
from django.db.models.functions import Now

from aerodash.models import KeeperLease

NAME = "keeper"
LASTS_S = 3.0
RENEW_S = 1.0  # a keeper that waits its turn asks as often, so it takes over within 4 s of a kill


def hold(holder: str, fence: int | None) -> int | None:
    """Renew the lease, or take it if it is free; returns the fence, or None if another process holds it.

    holder: unique to this process. fence: what the last call returned. A new fence means that the lease was lost
    meanwhile, even if this process has it again.
    Raises django.db.DatabaseError.
    """
    until = Now() + timedelta(seconds=LASTS_S)
    if fence is not None and _rows(holder).filter(fence=fence).update(expires_at=until):
        return fence
    KeeperLease.objects.get_or_create(name=NAME, defaults={"holder": "", "expires_at": Now()})
    free = KeeperLease.objects.filter(Q(expires_at__lte=Now()) | Q(holder=holder), name=NAME)
    if not free.update(holder=holder, fence=F("fence") + 1, expires_at=until):
        return None
    return _rows(holder).values_list("fence", flat=True).first()


def give_up(holder: str, fence: int) -> None:
    """Let the next process have the lease at once. Nothing happens if it was lost already."""
    _rows(holder).filter(fence=fence).update(expires_at=Now())


def _rows(holder: str):
    return KeeperLease.objects.filter(name=NAME, holder=holder)
