-- Keep the first that jobs' runs say of themselves.
-- Guard: none; progress found none, and a run's reports come one after another. Index: the primary key.
-- Given: id uuid, run integer, percent double precision, message text, lines integer
INSERT INTO jobs_admin_jobprogress (job_id, run, percent, message, at_ms, log_lines, log_dropped)
SELECT id, run, percent, coalesce(message, ''), :now, least(lines, :most), greatest(lines - :most, 0) FROM given
