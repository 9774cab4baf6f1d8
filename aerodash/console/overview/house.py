"""Whether AeroDash itself does its part: somebody keeps house, and changes reach the open pages."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from aerodash.keeper import lease
from aerodash.models import KeeperLease
from aerodash.realtime.publish import degraded

GRACE = timedelta(seconds=5)
"""A keeper that was killed is replaced within it."""


@dataclass(frozen=True, slots=True)
class HouseNow:
    """has_keeper: whether a process holds the keeper's lease, or did a moment ago. lapsed_at: when the last one lost it, None if there never
    was one. feed_is_down: whether this process cannot tell open pages of changes."""

    has_keeper: bool
    lapsed_at: datetime | None
    feed_is_down: bool


def now() -> HouseNow:
    """One statement; the database's clock decides, as it does for the keepers."""
    holds = ExpressionWrapper(Q(expires_at__gt=Now() - GRACE), output_field=BooleanField())
    kept = KeeperLease.objects.filter(name=lease.NAME).annotate(holds=holds).first()
    return HouseNow(
        has_keeper=kept is not None and kept.holds,
        lapsed_at=None if kept is None or kept.holds else kept.expires_at,
        feed_is_down=degraded(),
    )
