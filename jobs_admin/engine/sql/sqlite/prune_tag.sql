-- Delete the tags of a job that is pruned.
-- Guard: none; prune has deleted the job in this transaction. Index: the foreign key's.
DELETE FROM jobs_admin_jobtag WHERE job_id = :id
