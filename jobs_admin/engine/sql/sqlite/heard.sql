-- Which run a worker holds under this token, whether it was asked to end, and who the worker is.
-- Guard: processing under this token. Index: the primary key.
SELECT run, cancel_requested_at_ms IS NOT NULL, worker_id, worker_name FROM jobs_admin_job
WHERE id = :id AND project_id = :project AND status = 'processing' AND lease_token = :token
