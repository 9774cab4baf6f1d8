-- Delete the attempts of jobs that are pruned.
-- Guard: none; prune has deleted the jobs in this transaction. Index: the primary key (job, run).
-- Given: id uuid
DELETE FROM jobs_admin_attempt AS gone USING given WHERE gone.job_id = given.id
