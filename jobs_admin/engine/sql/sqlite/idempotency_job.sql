-- Which job a call with this key made.
-- Guard: none, it reads. Index: the primary key (project, key).
SELECT job_id FROM jobs_admin_idempotencykey WHERE project_id = :project AND key = :key
