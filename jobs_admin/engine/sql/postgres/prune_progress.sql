-- Delete the progress of jobs that are pruned.
-- Guard: none; prune has deleted the jobs in this transaction. Index: the primary key.
-- Given: id uuid
DELETE FROM jobs_admin_jobprogress AS gone USING given WHERE gone.job_id = given.id
