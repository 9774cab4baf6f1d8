"""The words of aerodash_ui: what a page says for an amount."""

import pytest

from aerodash.templatetags.aerodash_ui import size


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (None, "–"),
        (1023, "1,023 B"),
        (1024, "1.0 KiB"),
        (1024 * 1024 - 12, "1.0 MiB"),  # never "1,024.0 KiB"
        (5 * 1024**4, "5.0 TiB"),
    ],
)
def test_size(count, said):
    assert size(count) == said
