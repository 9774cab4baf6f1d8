-- Delete the progress of a job that is pruned.
-- Guard: none; prune has deleted the job in this transaction. Index: the primary key.
DELETE FROM jobs_admin_jobprogress WHERE job_id = :id
