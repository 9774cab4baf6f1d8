-- Delete the attempts of a job that is pruned.
-- Guard: none; prune has deleted the job in this transaction. Index: the primary key (job, run).
DELETE FROM jobs_admin_attempt WHERE job_id = :id
