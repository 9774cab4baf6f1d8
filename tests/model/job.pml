/*
 * The life of one job, between two workers that crash and stall, two keepers of which one may have been taken over,
 * a supervisor, two people, and a network that loses replies.
 *
 * What is atomic here is one SQL statement. Between two statements of one verb anything may happen: that is what
 * PostgreSQL allows, and SQLite, whose writers wait for each other, does less. So a guard that the model needs is one
 * that the statement itself must hold (jobs.md, States: "compare-and-swap").
 *
 * Each guard is a switch that is 1: -D<NAME>=0 takes it out. variants.toml says which property falls then.
 * Left out: poison (it only ends a job sooner), limits, lanes and batches (they choose among jobs; there is one here).
 *
 * Bounds: MAX_RETRIES, RELEASES, CRASHES, LOST and two calls by people. They end the runs; time is a process that
 * may let a lease run out, or a delay pass, at any moment.
 */

#ifndef LEASE_STATUS
#define LEASE_STATUS 1
#endif
#ifndef LEASE_DUE
#define LEASE_DUE 1
#endif
#ifndef HEARTBEAT_TOKEN
#define HEARTBEAT_TOKEN 1
#endif
#ifndef COMPLETE_TOKEN
#define COMPLETE_TOKEN 1
#endif
#ifndef COMPLETE_CANCEL
#define COMPLETE_CANCEL 1
#endif
#ifndef FAIL_TOKEN
#define FAIL_TOKEN 1
#endif
#ifndef FAIL_CANCEL
#define FAIL_CANCEL 1
#endif
#ifndef RELEASE_TOKEN
#define RELEASE_TOKEN 1
#endif
#ifndef RELEASE_CANCEL
#define RELEASE_CANCEL 1
#endif
#ifndef END_CANCELLED_TOKEN
#define END_CANCELLED_TOKEN 1
#endif
#ifndef END_CANCELLED_CANCEL
#define END_CANCELLED_CANCEL 1
#endif
#ifndef SETTLE_STATUS
#define SETTLE_STATUS 1
#endif
#ifndef TOKEN_CLEARED
#define TOKEN_CLEARED 1
#endif
#ifndef SWEEP_TOKEN
#define SWEEP_TOKEN 1
#endif
#ifndef SWEEP_RUN
#define SWEEP_RUN 1
#endif
#ifndef SWEEP_EXPIRY
#define SWEEP_EXPIRY 1
#endif
#ifndef SWEEP_CANCEL
#define SWEEP_CANCEL 1
#endif
#ifndef LOST_TOKEN
#define LOST_TOKEN 1
#endif
#ifndef LOST_RUN
#define LOST_RUN 1
#endif
#ifndef LOST_CANCEL
#define LOST_CANCEL 1
#endif
#ifndef CANCEL_PENDING_STATUS
#define CANCEL_PENDING_STATUS 1
#endif
#ifndef CANCEL_AGAIN
#define CANCEL_AGAIN 1
#endif
#ifndef CANCEL_PROCESSING_STATUS
#define CANCEL_PROCESSING_STATUS 1
#endif
#ifndef RETRY_STATUS
#define RETRY_STATUS 1
#endif
#ifndef RETRY_RUN
#define RETRY_RUN 1
#endif
#ifndef ENDED_CLEARED
#define ENDED_CLEARED 1
#endif
#ifndef PRUNE_STATUS
#define PRUNE_STATUS 1
#endif
#ifndef PRUNE_AGE
#define PRUNE_AGE 1
#endif
#ifndef IDEMPOTENCY_KEY
#define IDEMPOTENCY_KEY 1
#endif
#ifndef KEEPERS
#define KEEPERS 2
#endif

#ifndef MAX_RETRIES
#define MAX_RETRIES 1
#endif
#ifndef BEATS
#define BEATS 1
#endif
#ifndef RELEASES
#define RELEASES 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef LOST
#define LOST 1
#endif

mtype = { absent, pending, processing, completed, failed, cancelled, pruned };

#define is_ended(s) (s == completed || s == failed || s == cancelled)
#define guard(kept, condition) (!(kept) || (condition))

/* The job's row. */
mtype status = absent;
byte runs, attempts;
byte token;               /* 0: not leased */
byte holder;              /* the incarnation that leased it last */
bit expired;              /* the lease's time is over */
bit due;
bit cancelling;
bit old;                  /* ended longer ago than its retention */
byte next_token = 1, next_holder = 1;

/* What no statement sees: the history that the properties speak of. */
byte live;                /* the token of the run that nothing has ended yet; 0: none */
byte kept;                /* runs on the timeline */
byte ends;                /* terminal transitions since the enqueue or the last retry */
byte rows;                /* jobs that the one acknowledged enqueue made */
byte gone;                /* the incarnation that a supervisor saw die; 0: none */
byte believes[2];         /* the token under which a worker believes that it alone works; 0: none */
bit cancel_promised;
bit acknowledged;
byte beats, releases, crashes, lost;

/* Properties of every step. Their names are what variants.toml refers to. */
#define stale_write (sent != live)
#define ended_twice (ends != 1)
#define run_not_kept_once (kept + 1 != runs)
#define cancel_lost (cancel_promised && to != cancelled)
#define cancelled_unasked (to == cancelled && !cancelling)
#define taken_from_its_holder (believes[0] != 0 || believes[1] != 0)
#define leased_when_not_pending (status != pending)
#define leased_before_due (!due)
#define held_twice (believes[1 - me] != 0)
#define decided_on_an_old_budget (seen_attempts != attempts)
#define cancelled_outright_while_running (status != pending)
#define cancel_promised_too_late (is_ended(status))
#define cancel_refused_too_early (!is_ended(status) && status != pruned)
#define removed_unfinished (!is_ended(status))
#define removed_too_soon (!old)
#define retried_what_it_had_not_read (runs != seen_run || status != seen)
#define two_jobs_of_one_key (rows > 1)

/* The run ends, and its attempt is kept in the same transaction. */
inline leave(to) {
    assert(!run_not_kept_once);
    assert(!cancel_lost);
    assert(!cancelled_unasked);
    kept++;
    status = to;
    live = 0; holder = 0; expired = 0;
    if
    :: TOKEN_CLEARED -> token = 0
    :: else
    fi;
    if
    :: is_ended(to) -> old = 0; ends++; assert(!ended_twice)
    :: else
    fi
}

/* A run failed or its worker went silent: what the budget, as it was read, says. */
#define after_failure (seen_attempts > MAX_RETRIES -> failed : pending)

proctype Worker(bit me) {
    byte id, sent, seen_attempts, seen_run;

boot:
    atomic { id = next_holder; next_holder++ }

idle:
end_idle:
    (status == pending && due);                       /* lane_due.sql: a read */
    atomic {                                          /* lease.sql */
        if
        :: guard(LEASE_STATUS, status == pending) && guard(LEASE_DUE, due) && status != pruned ->
            assert(!leased_when_not_pending);
            assert(!leased_before_due);
            assert(!held_twice);
            status = processing; runs++; attempts++; expired = 0;
            token = next_token; next_token++; live = token; holder = id;
            if
            :: sent = token; believes[me] = sent
            :: lost < LOST -> lost++; goto idle        /* leased, and its worker never learns of it */
            fi
        :: else -> goto idle
        fi
    };

work:                                                 /* it may stall here for as long as it likes */
    if
    :: crashes < CRASHES -> goto crash
    :: beats < BEATS ->
        atomic {                                      /* heartbeat.sql */
            beats++;
            if
            :: guard(HEARTBEAT_TOKEN, token == sent) && status == processing ->
                expired = 0;
                if
                :: assert(!held_twice); believes[me] = sent
                :: lost < LOST -> lost++
                fi
            :: else -> believes[me] = 0               /* lease_lost; a sync handler goes on all the same */
            fi
        };
        goto work
    :: atomic {                                       /* settle_completed.sql */
            believes[me] = 0;
            if
            :: guard(COMPLETE_TOKEN, token == sent) && guard(SETTLE_STATUS, status == processing) &&
                    guard(COMPLETE_CANCEL, !cancelling) && status != pruned ->
                assert(!stale_write);
                leave(completed);
                goto answered
            :: else
            fi;
            seen_run = runs                           /* run.sql: a read */
        }
    :: atomic { believes[me] = 0; seen_run = runs; seen_attempts = attempts };   /* run.sql: a read */
        atomic {                                      /* settle_failed.sql */
            if
            :: guard(FAIL_TOKEN, token == sent) && guard(SETTLE_STATUS, status == processing) &&
                    guard(FAIL_CANCEL, !cancelling) && runs == seen_run && status != pruned ->
                assert(!stale_write);
                if
                :: after_failure == pending -> leave(pending); due = 0
                :: else -> leave(failed)
                fi;
                goto answered
            :: else
            fi
        }
    :: releases < RELEASES ->
        atomic { releases++; believes[me] = 0; seen_run = runs };
        atomic {                                      /* settle_released.sql */
            if
            :: guard(RELEASE_TOKEN, token == sent) && guard(SETTLE_STATUS, status == processing) &&
                    guard(RELEASE_CANCEL, !cancelling) && runs == seen_run && status != pruned ->
                assert(!stale_write);
                leave(pending);
                attempts--; due = 1;
                goto answered
            :: else
            fi
        }
    fi;
    atomic {                                          /* settle_cancelled.sql */
        if
        :: guard(END_CANCELLED_TOKEN, token == sent) && guard(SETTLE_STATUS, status == processing) &&
                guard(END_CANCELLED_CANCEL, cancelling) && runs == seen_run && status != pruned ->
            assert(!stale_write);
            leave(cancelled)
        :: else                                       /* lease_lost: written to the timeline, and nothing else */
        fi;
answered:
        seen_run = 0; seen_attempts = 0;
        if
        :: sent = 0; goto idle
        :: lost < LOST -> lost++; goto work            /* the reply is lost, so it is sent again */
        fi
    };

crash:
    atomic {
        crashes++;
        believes[me] = 0; sent = 0; seen_run = 0; seen_attempts = 0;
        gone = id;
        goto boot
    }
}

/* A supervising parent saw its child die: worker_lost ends that incarnation's runs at once. */
proctype Supervisor() {
    byte seen_token, seen_run, seen_attempts;
    bit seen_cancelling;

end:
    do
    :: atomic { gone != 0 && status == processing && holder == gone ->
            seen_token = token; seen_run = runs; seen_attempts = attempts; seen_cancelling = cancelling; gone = 0 };
        atomic {
            if
            :: status == processing && guard(LOST_TOKEN, token == seen_token) &&
                    guard(LOST_RUN, runs == seen_run) && guard(LOST_CANCEL, cancelling == seen_cancelling) ->
                assert(!taken_from_its_holder);
                assert(!decided_on_an_old_budget);
                if
                :: seen_cancelling -> leave(cancelled)
                :: else ->
                    if
                    :: after_failure == pending -> leave(pending); due = 1
                    :: else -> leave(failed)
                    fi
                fi
            :: else
            fi;
            seen_token = 0; seen_run = 0; seen_attempts = 0; seen_cancelling = 0
        }
    :: atomic { gone != 0 && !(status == processing && holder == gone) -> gone = 0 }
    od
}

/* Two of them: one was stopped, is taken over, and goes on in the middle of what it did. */
proctype Keeper() {
    byte seen_token, seen_run, seen_attempts;
    bit seen_cancelling;

end:
    do
    :: atomic { status == processing && expired ->     /* expired.sql: a read */
            seen_token = token; seen_run = runs; seen_attempts = attempts; seen_cancelling = cancelling };
        atomic {                                      /* settle_expired.sql */
            if
            :: status == processing && guard(SWEEP_TOKEN, token == seen_token) &&
                    guard(SWEEP_RUN, runs == seen_run) && guard(SWEEP_EXPIRY, expired) &&
                    guard(SWEEP_CANCEL, cancelling == seen_cancelling) ->
                assert(!taken_from_its_holder);
                assert(!decided_on_an_old_budget);
                if
                :: seen_cancelling -> leave(cancelled)
                :: else ->
                    if
                    :: after_failure == pending -> leave(pending); due = 1
                    :: else -> leave(failed)
                    fi
                fi
            :: else
            fi;
            seen_token = 0; seen_run = 0; seen_attempts = 0; seen_cancelling = 0
        }
    od
}

proctype Pruner() {
end:
    do
    :: is_ended(status) && old ->                      /* a read of one batch */
        atomic {                                      /* prune.sql */
            if
            :: guard(PRUNE_STATUS, is_ended(status)) && guard(PRUNE_AGE, old) ->
                assert(!removed_unfinished);
                assert(!removed_too_soon);
                status = pruned;
                break
            :: else
            fi
        }
    od
}

/* Each may cancel or retry once, at any moment, or do neither. */
proctype Person() {
    mtype seen;
    byte seen_run;

    if
    :: true
    :: acknowledged ->
cancel:
        atomic {                                      /* cancel_pending.sql */
            if
            :: guard(CANCEL_PENDING_STATUS, status == pending) && status != pruned ->
                assert(!cancelled_outright_while_running);
                status = cancelled; old = 0; ends++;
                assert(!ended_twice);
                cancelling = 1; cancel_promised = 1;
                goto done
            :: else
            fi
        };
        atomic {                                      /* cancel_processing.sql */
            if
            :: guard(CANCEL_PROCESSING_STATUS, status == processing) && status != pruned ->
                cancelling = 1;
                assert(!cancel_promised_too_late);
                cancel_promised = 1;
                goto done
            :: else
            fi
        };
        atomic {                                      /* status.sql: a read, and the answer */
            if
            :: guard(CANCEL_AGAIN, is_ended(status) || status == pruned) ->
                assert(!cancel_refused_too_early)     /* too late, and the answer says so */
            :: else -> goto cancel                    /* it moved between the two: once more */
            fi
        }
    :: atomic { is_ended(status) -> seen = status; seen_run = runs };   /* status.sql: a read */
        atomic {                                      /* retry.sql */
            if
            :: guard(RETRY_STATUS, status == seen) && guard(RETRY_RUN, runs == seen_run) && status != pruned ->
                assert(!retried_what_it_had_not_read);
                status = pending; due = 1; attempts = 0;
                cancelling = 0; cancel_promised = 0; ends = 0;
                if
                :: ENDED_CLEARED -> old = 0
                :: else
                fi
            :: else
            fi
        }
    fi;
done:
    atomic { seen = 0; seen_run = 0 }
}

/* Time: a delay passes, a lease runs out (for the worker too), an ended job grows old. */
proctype Time() {
end:
    do
    :: atomic { status == pending && !due -> due = 1 }
    :: atomic { status == processing && !expired -> expired = 1; believes[0] = 0; believes[1] = 0 }
    :: atomic { is_ended(status) && !old -> old = 1 }
    od
}

/* Enqueues with an idempotency key, and sends it again where the answer is lost. */
proctype Caller() {
send:
    atomic {                                          /* enqueue.sql */
        if
        :: guard(IDEMPOTENCY_KEY, rows == 0) ->
            rows++;
            assert(!two_jobs_of_one_key);
            status = pending; due = 1
        :: else
        fi
    };
    if
    :: acknowledged = 1
    :: lost < LOST -> lost++; goto send
    fi
}

init {
    atomic {
        run Caller();
        run Worker(0);
        run Worker(1);
        run Time();
#if CRASHES > 0
        run Supervisor();
#endif
#ifdef PRUNER
        run Pruner();
#endif
#if PEOPLE > 0
        run Person();
#endif
#if PEOPLE > 1
        run Person();
#endif
#if KEEPERS > 0
        run Keeper();
#endif
#if KEEPERS > 1
        run Keeper();
#endif
    }
}

/* While workers, time and a keeper go on, an acknowledged job ends, also after each retry. */
#ifdef LIVENESS
ltl no_job_is_lost { [] ((acknowledged && (status == pending || status == processing))
                         -> <> (is_ended(status) || status == pruned)) }
#endif
