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
