-- Delete the tags of jobs that are pruned.
-- Guard: none; prune has deleted the jobs in this transaction. Index: the foreign key's.
-- Given: id uuid
DELETE FROM jobs_admin_jobtag AS gone USING given WHERE gone.job_id = given.id
