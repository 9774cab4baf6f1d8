"""Reads what clients and workers wrote down and what the database says at the end, and names every broken promise.

Each rule is a function that yields violations. An answer that nobody got proves nothing either way, so a rule only
speaks where no order of events could explain what is there. Source: jobs.md, Promise and States.
"""

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.chaos.history import History, Op
from tests.chaos.snapshot import Row, Snapshot

STATUS_AFTER = {
    "completed": "completed",
    "failed": "failed",
    "lease_expired": "failed",
    "worker_lost": "failed",
    "timed_out": "failed",
    "cancelled": "cancelled",
}
"""Where a job stands after an attempt that nothing followed."""

ENDED = set(STATUS_AFTER.values())
SAME_MACHINE_S = 0.005
"""How far two processes' readings of one clock, rounded to milliseconds, may be apart."""

ROUNDING_STARTS = 1
"""Times are whole milliseconds, and a refill is rounded."""

UNDONE_WITHIN_S = 1.0
"""A PostgreSQL that is killed may forget the leases and heartbeats of its last moments: they do not wait for the disk
(docs/decisions/0011). Its WAL writer sees to it that this is less than three times 200 ms."""


@dataclass(frozen=True)
class Limits:
    """What the run had configured.

    brief: types whose ended jobs may be pruned. limited: type → most at once; keyed: likewise for each partition key.
    rated: type → (starts per second, burst). schedules: type → (most jobs, as many as there were slots).
    one_writer: transactions follow each other, so that the times of attempts are in the order of commits. Where several
    run at once one may read the clock before another that commits first.
    """

    brief: frozenset[str] = frozenset()
    limited: Mapping[str, int] = field(default_factory=dict)
    keyed: Mapping[str, int] = field(default_factory=dict)
    rated: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    schedules: Mapping[str, int] = field(default_factory=dict)
    one_writer: bool = True

    def most(self, type: str, key: str) -> float:
        """How many of a type (key "") or of a partition key of it may run at once."""
        return (self.keyed if key else self.limited).get(type, math.inf)


@dataclass(frozen=True)
class Generation:
    """The part of a job's life from its enqueue, or a retry by hand, to the next retry."""

    began_ms: int
    attempts: list[Row]
    ends: list[tuple[int, str]]
    """Every transition into a terminal status: (when, which)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease as a worker saw it."""

    by: str
    job: str
    run: int
    token: str
    op: Op


@dataclass(frozen=True, slots=True)
class Sent:
    """One result of a settle, and its answer ("" if nobody got one)."""

    job: str
    run: int
    token: str
    outcome: str
    answer: str
    op: Op


class Evidence:
    """The history and the snapshot, arranged for the rules."""

    def __init__(self, history: History, stored: Snapshot, limits: Limits) -> None:
        self.history = history
        self.stored = stored
        self.limits = limits
        self.claims: dict[str, list[Claim]] = defaultdict(list)
        for op in history.of("lease"):
            for lease in op.got.get("leases", ()):
                self.claims[lease["job"]].append(
                    Claim(op.asked["worker"], lease["job"], lease["run"], lease["token"], op)
                )
        self.sent: dict[str, list[Sent]] = defaultdict(list)
        for op in history.of("settle"):
            answers = op.got.get("outcomes") or [""] * len(op.asked["results"])
            for result, answer in zip(op.asked["results"], answers, strict=True):
                self.sent[result["job"]].append(Sent(**result, answer=answer, op=op))
        self.generations = {id: _generations(job, stored) for id, job in stored.jobs.items()}
        self.database_kills = [
            fault.at for fault in history.faults if fault.part.startswith("postgres") and fault.kind == "kill"
        ]

    def may_be_undone(self, at: float, until: float) -> bool:
        """Whether a kill of the database may have taken back a lease or heartbeat that was asked for and answered then."""
        return any(at <= kill <= until + UNDONE_WITHIN_S for kill in self.database_kills)


type Rule = Callable[[Evidence], Iterator[str]]


def check(history: History, stored: Snapshot, limits: Limits) -> dict[str, list[str]]:
    """Every violation, by the name of its rule; a rule that holds is not in it."""
    evidence = Evidence(history, stored, limits)
    found = {rule.__name__.replace("_", " "): list(rule(evidence)) for rule in RULES}
    return {rule: violations for rule, violations in found.items() if violations}


def nothing_acknowledged_is_lost(evidence: Evidence) -> Iterator[str]:
    types = {job["n"]: job["type"] for op in evidence.history.of("enqueue") for job in op.asked["jobs"]}
    for op in evidence.history.of("enqueue"):
        for job, id in zip(op.asked["jobs"], op.got.get("ids", ()), strict=False):
            if id in evidence.stored.jobs:
                continue
            if types[job["n"]] in evidence.limits.brief and _may_have_ended(evidence, id):
                continue  # pruned by its type's retention
            yield f"{id} ({job['n']}) was acknowledged at {op.until:.3f} and is not in the database"


def _may_have_ended(evidence: Evidence, id: str) -> bool:
    """Whether anybody did something that can have ended this job."""
    settled = any(sent.answer in {"accepted", "cancelled", ""} for sent in evidence.sent[id])
    handled = any(handled.job == id for handled in evidence.history.handled)
    cancelled = any(op.asked["job"] == id and op.phase != "fail" for op in evidence.history.of("cancel"))
    return settled or handled or cancelled


def nothing_comes_from_nowhere(evidence: Evidence) -> Iterator[str]:
    asked: dict[str, list[str]] = defaultdict(list)
    for op in evidence.history.of("enqueue"):
        for job in op.asked["jobs"]:
            asked[job["n"]].append(op.phase)
    completions = {f"{op.asked['name']}.done" for op in evidence.history.of("batch")}
    for id, job in evidence.stored.jobs.items():
        n = job["payload"]["n"]
        if n in completions or job["type"] in evidence.limits.schedules:
            continue
        if n not in asked:
            yield f"{id} has the payload {n}, which nobody enqueued"
        elif set(asked[n]) == {"fail"}:
            yield f"{id} ({n}) exists although its enqueue was refused"


def one_enqueue_makes_one_job(evidence: Evidence) -> Iterator[str]:
    made = Counter(
        job["payload"]["n"]
        for job in evidence.stored.jobs.values()
        if job["type"] not in evidence.limits.schedules
    )
    yield from (f"{number} jobs have the payload {n}" for n, number in made.items() if number > 1)


def an_idempotency_key_is_one_job(evidence: Evidence) -> Iterator[str]:
    ids: dict[str, set[str]] = defaultdict(set)
    for op in evidence.history.of("enqueue"):
        for job, id in zip(op.asked["jobs"], op.got.get("ids", ()), strict=False):
            if "idempotency" in job:
                ids[job["idempotency"]].add(id)
    yield from (f"{key} was answered with {sorted(made)}" for key, made in ids.items() if len(made) > 1)


WAITED_MS = 3_000
"""A row's instants are of the beginning of its transaction, which may have waited for the one that freed the key."""


def a_unique_key_has_one_unfinished_holder(evidence: Evidence) -> Iterator[str]:
    lives: dict[tuple[str, str], list[tuple[int, float, str]]] = defaultdict(list)
    for id, generations in evidence.generations.items():
        job = evidence.stored.jobs[id]
        if job["unique_key"]:
            for generation in generations:
                end = min((at for at, _ in generation.ends), default=float("inf"))
                lives[job["type"], job["unique_key"]].append((generation.began_ms, end, id))
    for (_, key), spans in lives.items():
        spans.sort()
        for before, after in itertools.pairwise(spans):
            if after[0] < before[1] - WAITED_MS:
                yield f"{key} was held by {before[2]} until {before[1]} and by {after[2]} from {after[0]}"


def every_job_has_ended(evidence: Evidence) -> Iterator[str]:
    for id, job in evidence.stored.jobs.items():
        if job["status"] not in ENDED:
            yield f"{id} is still {job['status']} (run {job['run']})"


def each_generation_ends_once(evidence: Evidence) -> Iterator[str]:
    for id, generations in evidence.generations.items():
        for number, generation in enumerate(generations):
            last = number == len(generations) - 1
            ended = evidence.stored.jobs[id]["status"] in ENDED or not last
            if len(generation.ends) != ended:
                ends = [status for _, status in generation.ends]
                yield f"{id} ended {len(ends)} times in generation {number + 1}: {ends}"


def the_status_is_explained(evidence: Evidence) -> Iterator[str]:
    for id, generations in evidence.generations.items():
        job = evidence.stored.jobs[id]
        ends = generations[-1].ends
        if ends and job["status"] != ends[-1][1]:
            yield f"{id} is {job['status']}, but its timeline ends with {ends[-1][1]}"
        if job["status"] == "cancelled" and not any(
            op.asked["job"] == id and op.phase != "fail" for op in evidence.history.of("cancel")
        ):
            yield f"{id} is cancelled, and nobody asked for it"


def failures_had_a_reason(evidence: Evidence) -> Iterator[str]:
    """A job fails for good when its budget is used up, when its worker says so, as poison, or past its deadline."""
    plans = {job["n"]: job["plan"] for op in evidence.history.of("enqueue") for job in op.asked["jobs"]}
    for id, generations in evidence.generations.items():
        job = evidence.stored.jobs[id]
        if job["status"] != "failed" or not generations[-1].attempts:
            continue
        if any(event["kind"] in {"expired", "poisoned"} for event in evidence.stored.events.get(id, ())):
            continue
        charged = [a for a in generations[-1].attempts if a["outcome"] != "released"]
        final = plans.get(job["payload"]["n"]) == "final" and charged[-1]["outcome"] == "failed"
        if len(charged) <= job["max_retries"] and not final:
            yield f"{id} failed after {len(charged)} runs of {job['max_retries'] + 1}"


def runs_fail_only_as_planned(evidence: Evidence) -> Iterator[str]:
    for id, attempts in evidence.stored.attempts.items():
        plan = evidence.stored.jobs[id]["payload"]["plan"] if id in evidence.stored.jobs else ""
        for attempt in attempts:
            if attempt["outcome"] == "failed" and plan not in {"fail", "final", "flaky"}:
                yield f"{id} ({plan}): run {attempt['run']} failed with {attempt['error_type']}"


def the_budget_is_kept(evidence: Evidence) -> Iterator[str]:
    for id, generations in evidence.generations.items():
        most = evidence.stored.jobs[id]["max_retries"] + 1
        for generation in generations:
            charged = sum(attempt["outcome"] != "released" for attempt in generation.attempts)
            if charged > most:
                yield f"{id} ran {charged} times in one generation, {most} are allowed"


def runs_are_consecutive(evidence: Evidence) -> Iterator[str]:
    for id, job in evidence.stored.jobs.items():
        runs = [attempt["run"] for attempt in evidence.stored.attempts.get(id, ())]
        expected = list(range(1, job["run"] + (job["status"] != "processing")))
        if runs != expected:
            yield f"{id} has run {job['run']} and attempts {runs}"


def attempts_do_not_overlap(evidence: Evidence) -> Iterator[str]:
    for id, attempts in evidence.stored.attempts.items():
        for before, after in itertools.pairwise(attempts):
            if after["leased_at_ms"] < before["ended_at_ms"]:
                yield f"{id}: run {after['run']} began before run {before['run']} had ended"


def no_run_begins_before_it_is_due(evidence: Evidence) -> Iterator[str]:
    for id, attempts in evidence.stored.attempts.items():
        for attempt in attempts:
            if attempt["leased_at_ms"] < attempt["due_at_ms"]:
                yield f"{id}: run {attempt['run']} began {attempt['due_at_ms'] - attempt['leased_at_ms']} ms early"


def a_run_has_one_token(evidence: Evidence) -> Iterator[str]:
    for id, claims in evidence.claims.items():
        by_run: dict[int, list[Claim]] = defaultdict(list)
        for claim in claims:
            by_run[claim.run].append(claim)
        for run, several in by_run.items():
            first = several[0]
            if len({claim.token for claim in several}) > 1 and not evidence.may_be_undone(
                first.op.at, first.op.until
            ):
                yield f"{id}: run {run} was leased by {[claim.by for claim in several]}"


def an_accepted_settle_is_the_attempt(evidence: Evidence) -> Iterator[str]:
    for id, sents in evidence.sent.items():
        attempts = {attempt["run"]: attempt for attempt in evidence.stored.attempts.get(id, ())}
        for sent in sents:
            if id not in evidence.stored.jobs or sent.answer not in {"accepted", "cancelled"}:
                continue
            attempt = attempts.get(sent.run)
            expected = sent.outcome if sent.answer == "accepted" else "cancelled"
            if attempt is None or attempt["outcome"] != expected:
                kept = attempt and attempt["outcome"]
                yield f"{id}: run {sent.run} settled as {sent.outcome}, {sent.answer}; the timeline says {kept}"
            elif attempt["worker_id"] != sent.op.by:
                yield f"{id}: run {sent.run} of {attempt['worker_id']} was settled by {sent.op.by}"


def a_run_is_settled_once(evidence: Evidence) -> Iterator[str]:
    for id, sents in evidence.sent.items():
        accepted = Counter(sent.run for sent in sents if sent.answer in {"accepted", "cancelled"})
        yield from (f"{id}: run {run} was settled {n} times" for run, n in accepted.items() if n > 1)


def no_stale_settle_is_accepted(evidence: Evidence) -> Iterator[str]:
    for id, sents in evidence.sent.items():
        for sent in sents:
            if sent.answer not in {"accepted", "cancelled"}:
                continue
            for claim in evidence.claims[id]:
                newer = claim.run > sent.run or (claim.run == sent.run and claim.token != sent.token)
                if (
                    newer
                    and claim.op.until < sent.op.at
                    and not evidence.may_be_undone(claim.op.at, claim.op.until)
                ):
                    yield (
                        f"{id}: run {sent.run} was settled at {sent.op.at:.3f}, after {claim.by} had leased "
                        f"run {claim.run} at {claim.op.until:.3f}"
                    )
                    break


def what_was_refused_left_no_trace(evidence: Evidence) -> Iterator[str]:
    """A run whose every settle was answered `lease_lost` was not ended by its worker."""
    for id, sents in evidence.sent.items():
        answers: dict[tuple[int, str], set[str]] = defaultdict(set)
        for sent in sents:
            answers[sent.run, sent.token].add(sent.answer)
        tokens = Counter(run for run, _ in answers)
        attempts = {attempt["run"]: attempt for attempt in evidence.stored.attempts.get(id, ())}
        for (run, _), heard in answers.items():
            ended = attempts.get(run, {}).get("outcome")
            if heard == {"lease_lost"} and tokens[run] == 1 and ended in {"completed", "failed", "released"}:
                yield f"{id}: run {run} is {ended}, but every settle of it was refused"


def a_lease_is_not_given_away(evidence: Evidence) -> Iterator[str]:
    """Until a lease has run out, by what its worker was told, nobody else gets the job, unless the worker gave it up."""
    extended: dict[tuple[str, str], float] = {}
    for id, claims in evidence.claims.items():
        for claim in claims:
            extended[id, claim.token] = claim.op.at + claim.op.asked["lease_s"]
    for op in evidence.history.of("heartbeat"):
        for lease, outcome in zip(op.asked["leases"], op.got.get("outcomes", ()), strict=False):
            key = lease["job"], lease["token"]
            if outcome != "lease_lost" and not evidence.may_be_undone(op.at, op.until):
                extended[key] = max(extended.get(key, 0), op.at + op.asked["lease_s"])
    for id, claims in evidence.claims.items():
        attempts = {attempt["run"]: attempt for attempt in evidence.stored.attempts.get(id, ())}
        for claim in claims:
            following = attempts.get(claim.run + 1)
            if following is None or evidence.may_be_undone(claim.op.at, claim.op.until):
                continue
            gave_up = any(
                sent.token == claim.token and sent.answer in {"accepted", "cancelled", ""}
                for sent in evidence.sent[id]
            )
            valid_until = extended[id, claim.token]
            begun = following["leased_at_ms"] / 1000
            if not gave_up and begun < valid_until - SAME_MACHINE_S:
                yield f"{id}: run {following['run']} began {valid_until - begun:.3f} s before {claim.by}'s lease ended"


def what_is_cancelled_does_not_start(evidence: Evidence) -> Iterator[str]:
    retries: dict[str, list[Op]] = defaultdict(list)
    for op in evidence.history.of("retry"):
        if op.phase != "fail":
            retries[op.asked["job"]].append(op)
    for op in evidence.history.of("cancel"):
        id = op.asked["job"]
        if not op.got.get("success") or any(retry.until > op.at for retry in retries[id]):
            continue
        for claim in evidence.claims[id]:
            if claim.op.at > op.until:
                yield f"{id} was cancelled at {op.until:.3f} and leased at {claim.op.at:.3f}"
        job = evidence.stored.jobs.get(id)
        if job is not None and job["status"] != "cancelled":
            yield f"{id} is {job['status']}, though its cancel was granted at {op.until:.3f}"


def limits_are_kept(evidence: Evidence) -> Iterator[str]:
    for op in evidence.history.of("watch"):
        yield f"{op.got['running']} jobs of {op.asked['what']} ran at {op.until:.3f}"
    if not evidence.limits.one_writer:
        return
    moves: dict[tuple[str, str], list[tuple[int, int, str]]] = defaultdict(list)
    for id, attempts in evidence.stored.attempts.items():
        if job := evidence.stored.jobs.get(id):
            for place in {(job["type"], ""), (job["type"], job["partition_key"])}:
                for attempt in attempts:
                    name = f"{id} run {attempt['run']}"
                    moves[place] += [(attempt["leased_at_ms"], 1, name), (attempt["ended_at_ms"], -1, name)]
    for (type, key), several in moves.items():
        running: set[str] = set()
        for at, change, name in sorted(several):
            running = running | {name} if change > 0 else running - {name}
            if len(running) > evidence.limits.most(type, key):
                yield f"{len(running)} jobs of {type} {key} ran at {at}: {sorted(running)}"
                break


def rates_are_kept(evidence: Evidence) -> Iterator[str]:
    for type, (per_s, burst) in evidence.limits.rated.items():
        starts = sorted(
            attempt["leased_at_ms"]
            for id, attempts in evidence.stored.attempts.items()
            if evidence.stored.jobs.get(id, {}).get("type") == type
            for attempt in attempts
        )
        # A token bucket: within any time there are at most burst + rate * time starts. The lowest level so far of
        # (starts - rate * time) is the best moment to begin counting from.
        lowest = math.inf
        for number, at in enumerate(starts):
            level = number - per_s * at / 1000
            lowest = min(lowest, level)
            if level + 1 - lowest > burst + ROUNDING_STARTS:
                yield f"{type} started {level + 1 - lowest - burst:.1f} more often than it may by {at}"
                break


def a_schedule_fires_once_a_slot(evidence: Evidence) -> Iterator[str]:
    made = Counter(job["type"] for job in evidence.stored.jobs.values())
    for type, slots in evidence.limits.schedules.items():
        if not 0 < made[type] <= slots:
            yield f"{made[type]} jobs of {type} in {slots} slots"


def counters_equal_the_rows(evidence: Evidence) -> Iterator[str]:
    actual = Counter((job["type"], job["status"]) for job in evidence.stored.jobs.values())
    for key in sorted(actual.keys() | evidence.stored.counters.keys()):
        if actual[key] != evidence.stored.counters.get(key, 0):
            yield f"{key} counts {evidence.stored.counters.get(key, 0)}, there are {actual[key]}"


def batches_end_once(evidence: Evidence) -> Iterator[str]:
    done = Counter(job["payload"].get("batch") for job in evidence.stored.jobs.values())
    members: dict[str, list[Row]] = defaultdict(list)
    for job in evidence.stored.jobs.values():
        members[job["batch_id"]].append(job)
    for batch in evidence.stored.batches:
        completions = done[batch["name"]]
        ended = batch["sealed_at_ms"] is not None and all(
            job["status"] in ENDED for job in members[batch["id"]]
        )
        if completions != ended:
            yield f"batch {batch['name']} has {completions} completion jobs, {int(ended)} expected"
        if ended and batch["ended_at_ms"] is None:
            yield f"batch {batch['name']} has not noted its end"
    sealed = {op.asked["batch"] for op in evidence.history.of("seal") if op.phase == "ok"}
    for id in sealed - {
        batch["id"] for batch in evidence.stored.batches if batch["sealed_at_ms"] is not None
    }:
        yield f"batch {id} was sealed, and is not"


RULES: list[Rule] = [
    nothing_acknowledged_is_lost,
    nothing_comes_from_nowhere,
    one_enqueue_makes_one_job,
    an_idempotency_key_is_one_job,
    a_unique_key_has_one_unfinished_holder,
    every_job_has_ended,
    each_generation_ends_once,
    the_status_is_explained,
    failures_had_a_reason,
    runs_fail_only_as_planned,
    the_budget_is_kept,
    runs_are_consecutive,
    attempts_do_not_overlap,
    no_run_begins_before_it_is_due,
    a_run_has_one_token,
    an_accepted_settle_is_the_attempt,
    a_run_is_settled_once,
    no_stale_settle_is_accepted,
    what_was_refused_left_no_trace,
    a_lease_is_not_given_away,
    what_is_cancelled_does_not_start,
    limits_are_kept,
    rates_are_kept,
    a_schedule_fires_once_a_slot,
    counters_equal_the_rows,
    batches_end_once,
]


def _generations(job: Row, stored: Snapshot) -> list[Generation]:
    """A job's life, cut at its retries by hand."""
    attempts = list(stored.attempts.get(job["id"], ()))
    generations = [Generation(job["created_at_ms"], [], [])]

    def take_attempts(up_to_run: float) -> None:
        while attempts and attempts[0]["run"] <= up_to_run:
            attempt = attempts.pop(0)
            generations[-1].attempts.append(attempt)
            if attempt["next_due_at_ms"] is None:
                status = STATUS_AFTER.get(attempt["outcome"], attempt["outcome"])
                generations[-1].ends.append((attempt["ended_at_ms"], status))

    for event in stored.events.get(job["id"], ()):
        match event["kind"]:
            case "retried":
                take_attempts(event["run"])
                generations.append(Generation(event["at_ms"], [], []))
            case "cancelled":
                take_attempts(event["run"])
                generations[-1].ends.append((event["at_ms"], "cancelled"))
            case "expired":
                take_attempts(event["run"])
                generations[-1].ends.append((event["at_ms"], "failed"))
    take_attempts(float("inf"))
    return generations
