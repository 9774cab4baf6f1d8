"""Request ids: a caller's own if it is harmless, else one that nobody else has."""

import subprocess
import sys

import pytest

from aerodash.middleware import new_request_id


@pytest.mark.parametrize("offered", ["abc-1", "req_1:2.3", "x" * 64])
def test_a_plain_id_of_the_caller_is_kept(offered: str) -> None:
    assert new_request_id(offered) == offered


@pytest.mark.parametrize("offered", ["", "x" * 65, "a b", "a\nb", "<script>", "é"])
def test_anything_else_is_replaced(offered: str) -> None:
    assert new_request_id(offered) != offered


def test_fresh_ones_differ_in_a_process_and_between_forked_ones() -> None:
    forks = "import os; from aerodash.middleware import new_request_id as n; os.fork(); os.write(1, (n()+' '+n()+' ').encode())"
    shown = subprocess.run([sys.executable, "-c", forks], capture_output=True, text=True, check=True)
    ids = shown.stdout.split()
    assert len(set(ids)) == 4, shown
    assert len({id.rpartition("_")[0] for id in ids}) == 2
