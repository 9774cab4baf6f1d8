"""The fixed cast of the page tests: who looks at the test's project."""

import pytest

from aerodash.auth import Role


@pytest.fixture
def owner_page(project):
    from tests.pages.people import member_client

    return member_client(project, Role.OWNER)


@pytest.fixture
def viewer_page(project):
    """A member who may only look."""
    from tests.pages.people import member_client

    return member_client(project, Role.VIEWER)


@pytest.fixture
def stranger_page():
    """Signed in, and no member of the project."""
    from tests.pages.people import new_user, signed_in

    return signed_in(new_user("stranger"))
