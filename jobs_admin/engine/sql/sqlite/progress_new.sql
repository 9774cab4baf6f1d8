-- Keep the first that a job's run says of itself.
-- Guard: none; progress found none, and a run's reports come one after another. Index: the primary key.
INSERT INTO jobs_admin_jobprogress (job_id, run, percent, message, at_ms, log_lines, log_dropped)
VALUES (:id, :run, :percent, coalesce(:message, ''), :now, min(:lines, :most), max(:lines - :most, 0))
