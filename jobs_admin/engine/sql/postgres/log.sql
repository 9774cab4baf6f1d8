-- Add lines to jobs' logs.
-- Guard: none, rows are only added. Index: log_of_job grows.
-- Given: id uuid, run integer, at bigint, level text, message text
INSERT INTO jobs_admin_joblog (job_id, run, at_ms, level, message)
SELECT id, run, given.at, level, message FROM given ORDER BY n
