"""Two edits of one text: nothing of either may get lost."""

from hypothesis import given
from hypothesis import strategies as st

from cache_admin import merge

BASE = '{\n  "last": 1,\n  "cart": ["x"],\n  "order": 9,\n  "disc": 0.10\n}'
texts = st.lists(st.sampled_from("abcxy"), max_size=12).map("\n".join)


@given(texts, texts, texts)
def test_hunks_hold_all_three_texts_whole(base, theirs, yours):
    hunks = merge.merge(base, theirs, yours)
    assert "\n".join(line for hunk in hunks for line in hunk.base) == base
    assert "\n".join(line for hunk in hunks for line in hunk.theirs) == theirs
    assert "\n".join(line for hunk in hunks for line in hunk.yours) == yours


@given(texts, texts)
def test_an_edit_of_one_side_only_is_taken_as_it_is(base, edited):
    assert merge.resolve(merge.merge(base, base, edited), {}) == edited
    assert merge.resolve(merge.merge(base, edited, base), {}) == edited
    assert merge.resolve(merge.merge(base, edited, edited), {}) == edited


@given(texts, texts, texts)
def test_choosing_one_side_everywhere_is_possible(base, theirs, yours):
    hunks = merge.merge(base, theirs, yours)
    for side, text in (("theirs", theirs), ("yours", yours)):
        merged = merge.resolve(hunks, dict.fromkeys(range(len(hunks)), side))
        if all(hunk.kind in {"same", "clash", "both"} for hunk in hunks):
            assert merged == text


def test_changes_on_neighbouring_lines_do_not_clash():
    theirs = BASE.replace('"last": 1', '"last": 2').replace('["x"]', '["x", "y"]')
    yours = BASE.replace('["x"]', "[]").replace("0.10", "0.15")
    hunks = merge.merge(BASE, theirs, yours)
    assert [hunk.kind for hunk in hunks] == ["same", "theirs", "clash", "same", "yours", "same"]
    assert merge.resolve(hunks, {2: "yours"}) == yours.replace('"last": 1', '"last": 2')


def test_two_insertions_at_one_place_clash():
    hunks = merge.merge("a\nb", "a\n1\nb", "a\n2\nb")
    assert [hunk.kind for hunk in hunks] == ["same", "clash", "same"]


def test_diff_shows_changes_with_their_surroundings():
    before = "\n".join(str(number) for number in range(40))
    lines = merge.diff(before, before.replace("\n20\n", "\ntwenty\n"))
    assert [(line.sign, line.text) for line in lines] == [
        ("…", "17 unchanged lines"),
        (" ", "17"), (" ", "18"), (" ", "19"), ("-", "20"), ("+", "twenty"), (" ", "21"), (" ", "22"), (" ", "23"),
        ("…", "16 unchanged lines"),
    ]  # fmt: skip


def test_diff_of_equal_texts_is_empty():
    assert merge.diff(BASE, BASE) == []
