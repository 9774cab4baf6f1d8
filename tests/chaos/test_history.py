"""Histories: what was written before a kill is read as it was meant."""

import math
from pathlib import Path

from tests.chaos.history import Recorder, read
from tests.chaos.report import Outage, longest_outage


def test_an_answer_belongs_to_its_request(tmp_path: Path):
    recorder = Recorder(tmp_path, "client-1")
    first = recorder.event("cancel", "invoke", job="a")
    second = recorder.event("cancel", "invoke", job="b")
    recorder.event("cancel", "fail", second, error="404")
    recorder.event("cancel", "ok", first, success=True)
    [a, b] = read(tmp_path).ops
    assert (a.by, a.asked, a.got, a.phase) == ("client-1", {"job": "a"}, {"success": True}, "ok")
    assert (b.asked, b.phase) == ({"job": "b"}, "fail")
    assert a.at <= b.at <= b.until <= a.until


def test_a_request_that_was_never_answered_is_unknown_for_ever(tmp_path: Path):
    Recorder(tmp_path, "wire-1").event("settle", "invoke", results=[])
    [op] = read(tmp_path).ops
    assert (op.phase, op.until) == ("unknown", math.inf)


def test_a_handler_that_never_returned_has_no_end(tmp_path: Path):
    recorder = Recorder(tmp_path, "sdk-1")
    done = recorder.event("run", "start", job="a", run=1)
    recorder.event("run", "end", done)
    recorder.event("run", "start", job="b", run=2)
    handled = {each.job: each for each in read(tmp_path).handled}
    assert handled["a"].ended is not None
    assert (handled["b"].run, handled["b"].ended) == (2, None)


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path):
    recorder = Recorder(tmp_path, "client-1")
    recorder.event("cancel", "invoke", job="a")
    with (tmp_path / "client-1.jsonl").open("a") as file:
        file.write('{"at":1,"op":1,"ver')
    assert len(read(tmp_path).ops) == 1


def test_an_outage_lasts_from_the_first_failure_to_the_next_answer(tmp_path: Path):
    recorder = Recorder(tmp_path, "client-1")
    for phase in ("unknown", "fail", "ok"):
        recorder.event("cancel", phase, recorder.event("cancel", "invoke", job="a"))
    history = read(tmp_path)
    first, _, last = history.ops
    assert longest_outage(history) == Outage(first.at, last.until - first.at, "client-1")
