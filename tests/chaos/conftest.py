from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.chaos.harness import Installation
from tests.ports import free_port


@pytest.fixture
def installation() -> Iterator[Installation]:
    """An installation that nobody has started yet; all its processes are gone after the test, whatever happened."""
    with TemporaryDirectory(
        prefix="aerodash-chaos-", ignore_cleanup_errors=True
    ) as folder:  # short: holds a socket
        made = Installation(Path(folder) / "var", free_port())
        try:
            yield made
        finally:
            made.close()
