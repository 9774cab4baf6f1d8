-- Keep how far runs are, and count their logs' lines up to :most, and the others apart. What is null was said before;
-- what an earlier run said goes.
-- Guard: there is a row; else progress_new adds it. Index: the primary key.
-- Given: id uuid, run integer, percent double precision, message text, lines integer
UPDATE jobs_admin_jobprogress AS progress
SET percent = coalesce(given.percent, CASE WHEN progress.run = given.run THEN progress.percent END),
    message = coalesce(given.message, CASE WHEN progress.run = given.run THEN progress.message ELSE '' END),
    run = given.run, at_ms = :now, log_lines = least(log_lines + given.lines, :most),
    log_dropped = log_dropped + greatest(log_lines + given.lines - :most, 0)
FROM given
WHERE progress.job_id = given.id
RETURNING given.n, progress.log_lines + progress.log_dropped
