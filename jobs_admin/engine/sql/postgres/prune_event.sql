-- Delete the events of jobs that are pruned.
-- Guard: none; prune has deleted the jobs in this transaction. Index: event_of_job.
-- Given: id uuid
DELETE FROM jobs_admin_jobevent AS gone USING given WHERE gone.job_id = given.id
