"""Which failures are tried again, and after how long."""

import pytest
from aerodash_sdk.core import errors
from aerodash_sdk.core.request import Repeat, failure
from aerodash_sdk.core.retrying import RetryPolicy

POLICY = RetryPolicy(tries=4, base_s=0.1, cap_s=0.3, patience_s=30)
OWN = b'{"code": "INTERNAL_ERROR", "message": "The database is away.", "details": {"reason": "engine_down"}}'
NOT_SENT = errors.NotSent("refused")
LOST = errors.ReplyLost("reset")
AWAY = failure(503, None, OWN)
PROXY = failure(503, None, b"<html>")
LIMITED = failure(429, "2", b'{"code": "RATE_LIMIT_EXCEEDED", "message": "Slow down."}')


def pause(error: errors.AeroDashError, repeat: Repeat, tried: int = 1) -> float | None:
    return POLICY.pause_s(error, tried=tried, repeat=repeat, draw=lambda: 1.0)


@pytest.mark.parametrize(
    ("error", "always", "if_refused", "if_unsent"),
    [
        (NOT_SENT, True, True, True),
        (LIMITED, True, True, True),
        (AWAY, True, True, False),
        (PROXY, True, False, False),
        (LOST, True, False, False),
        (errors.ServerFault("?", status=500), False, False, False),
        (errors.InvalidInput("?", status=400), False, False, False),
        (errors.NotAuthenticated("?", status=401), False, False, False),
        (errors.BadReply("?"), False, False, False),
    ],
    ids=["not sent", "429", "503", "503 of a proxy", "reply lost", "500", "400", "401", "bad reply"],
)
def test_call_is_sent_again_only_where_that_does_no_harm(
    error: errors.AeroDashError, always: bool, if_refused: bool, if_unsent: bool
) -> None:
    assert (pause(error, Repeat.ALWAYS) is not None) is always
    assert (pause(error, Repeat.IF_REFUSED) is not None) is if_refused
    assert (pause(error, Repeat.IF_UNSENT) is not None) is if_unsent


def test_pauses_double_up_to_the_cap_and_end_with_the_tries() -> None:
    assert [pause(LOST, Repeat.ALWAYS, tried) for tried in (1, 2, 3, 4)] == [0.1, 0.2, 0.3, None]


def test_pause_is_drawn_from_the_upper_half() -> None:
    assert POLICY.pause_s(LOST, tried=2, repeat=Repeat.ALWAYS, draw=lambda: 0.0) == 0.1


def test_retry_after_is_honoured_up_to_the_callers_patience() -> None:
    assert pause(LIMITED, Repeat.IF_UNSENT) == pytest.approx(2.1)
    assert pause(failure(503, "31", OWN), Repeat.ALWAYS) is None
