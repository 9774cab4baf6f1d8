"""One-time sign-in links: how the first start, and later an owner, lets a person in without a password."""

import hashlib
import secrets
from datetime import timedelta

from django.utils import timezone

from aerodash.models import SignInLink, User


def mint(user: User, minutes: int = 15) -> str:
    """A new token for /sign-in/<token>, good once and for so many minutes. Only its digest is kept."""
    token = secrets.token_urlsafe(24)
    SignInLink.objects.create(
        user=user, digest=_digest(token), expires_at=timezone.now() + timedelta(minutes=minutes)
    )
    return token


def find(token: str) -> SignInLink | None:
    """The link, if it can still be used. Looking does not use it up."""
    return _usable(token).select_related("user").first()


def consume(token: str) -> User | None:
    """Use the link up and return whom it signs in; None if it is unknown, used or too old, or its user is barred.

    One statement decides, so of two clicks at once only one gets in.
    """
    if not _usable(token).update(used_at=timezone.now()):
        return None
    return SignInLink.objects.select_related("user").get(digest=_digest(token)).user


def _usable(token: str):
    return SignInLink.objects.filter(
        digest=_digest(token), used_at=None, expires_at__gt=timezone.now(), user__is_active=True
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
