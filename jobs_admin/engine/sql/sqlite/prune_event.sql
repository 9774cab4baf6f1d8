-- Delete the events of a job that is pruned.
-- Guard: none; prune has deleted the job in this transaction. Index: event_of_job.
DELETE FROM jobs_admin_jobevent WHERE job_id = :id
