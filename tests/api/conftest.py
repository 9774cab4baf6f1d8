"""What the tests of the API share besides tests/fixtures.py."""

import itertools

import pytest

from aerodash import keys
from aerodash.auth import Scope
from tests.api.client import ApiClient

_numbers = itertools.count(1)


@pytest.fixture
def other_api(project) -> ApiClient:
    """A caller with a key of another project than `project`."""
    from aerodash.models import Project

    other = Project.objects.create(slug=f"stranger-{next(_numbers)}", name="Stranger")
    return ApiClient(keys.mint(other, "test", [Scope.ADMIN])[1])


@pytest.fixture
def lanes() -> tuple[ApiClient, ApiClient]:
    """The two lanes, each with a project of its own, so that the same history gives the same answers."""
    from aerodash.models import Project

    def one(express: bool) -> ApiClient:
        own = Project.objects.create(slug=f"lane-{next(_numbers)}", name="Lane")
        return ApiClient(keys.mint(own, "test", [Scope.ADMIN])[1], express=express)

    return one(True), one(False)


@pytest.fixture(params=[True, False], ids=["express", "ninja"])
def lane(request, project) -> ApiClient:
    """One lane after the other, with a key of `project`, for tests of what the answer is."""
    return ApiClient(keys.mint(project, "test", [Scope.ADMIN])[1], express=request.param)
