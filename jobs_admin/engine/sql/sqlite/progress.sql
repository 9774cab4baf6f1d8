-- Keep how far a run is, and count its log's lines up to :most, and the others apart. What is null was said before;
-- what an earlier run said goes.
-- Guard: it has a row; else progress_new adds it. Index: the primary key.
UPDATE jobs_admin_jobprogress
SET percent = coalesce(:percent, iif(run = :run, percent, NULL)),
    message = coalesce(:message, iif(run = :run, message, '')),
    run = :run, at_ms = :now, log_lines = min(log_lines + :lines, :most),
    log_dropped = log_dropped + max(log_lines + :lines - :most, 0)
WHERE job_id = :id
RETURNING log_lines + log_dropped
