"""People for page tests, signed in by Django's own test client."""

import itertools

from django.test import Client

from aerodash.auth import Role
from aerodash.models import Member, Project, User

_numbers = itertools.count(1)


def new_user(name: str = "person", password: str | None = None) -> User:
    return User.objects.create_user(username=f"{name}-{next(_numbers)}", password=password)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def member_client(project: Project, role: Role) -> Client:
    user = new_user(role.value.replace(" ", "-"))
    Member.objects.create(project=project, user=user, role=role.value)
    return signed_in(user)
