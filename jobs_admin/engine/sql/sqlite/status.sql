-- Where a job stands.
-- Guard: none, it reads. Index: the primary key.
SELECT status, type, run, payload, payload_version, result, error_message, batch_id, unique_key
FROM jobs_admin_job
WHERE id = :id AND project_id = :project
