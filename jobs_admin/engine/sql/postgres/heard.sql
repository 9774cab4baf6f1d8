-- Which runs workers hold under their tokens, whether they were asked to end, and who the workers are.
-- Guard: processing under this token. Index: the primary key.
-- Given: id uuid, project bigint, token text
SELECT given.n, job.run, job.cancel_requested_at_ms IS NOT NULL, job.worker_id, job.worker_name
FROM given
JOIN jobs_admin_job AS job ON job.id = given.id
WHERE job.project_id = given.project AND job.status || '' = 'processing' AND job.lease_token = given.token
