"""Over-long error texts are cut where it hurts least, say so, and never leave their bound."""

import pytest

from jobs_admin.bounds import cut_end, cut_middle


@pytest.mark.parametrize("cut", [cut_end, cut_middle])
@pytest.mark.parametrize("text", ["", "x" * 500, "é" * 250])
def test_a_text_within_its_bound_is_left_alone(cut, text: str) -> None:
    assert cut(text, 500) is text


@pytest.mark.parametrize("cut", [cut_end, cut_middle])
@pytest.mark.parametrize("text", ["x" * 501, "xé" * 400, "🙂" * 300, "a" + "🙂" * 300, "ab" + "🙂" * 300])
def test_a_longer_one_fits_and_says_how_long_it_was(cut, text: str) -> None:
    kept = cut(text, 500)
    assert 490 <= len(kept.encode()) <= 500
    assert f"it had {len(text.encode())} bytes" in kept


def test_a_message_keeps_its_beginning_and_a_traceback_both_ends() -> None:
    text = "begin" + "x" * 1000 + "end"
    assert cut_end(text, 200).startswith("beginx")
    assert "end" not in cut_end(text, 200)
    assert cut_middle(text, 200).startswith("beginx")
    assert cut_middle(text, 200).endswith("xend")
