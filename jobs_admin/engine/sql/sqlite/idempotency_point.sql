-- Have a key answer with the job that its call was answered with.
-- Guard: none; it runs in the call's own transaction. Index: the primary key (project, key).
UPDATE jobs_admin_idempotencykey SET job_id = :id WHERE project_id = :project AND key = :key
