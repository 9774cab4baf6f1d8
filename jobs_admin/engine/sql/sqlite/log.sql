-- Add a line to a job's log.
-- Guard: none, rows are only added. Index: log_of_job grows.
INSERT INTO jobs_admin_joblog (job_id, run, at_ms, level, message) VALUES (:id, :run, :at, :level, :message)
