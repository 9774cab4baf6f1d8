-- Delete the log of a job that is pruned.
-- Guard: none; prune has deleted the job in this transaction. Index: log_of_job.
DELETE FROM jobs_admin_joblog WHERE job_id = :id
