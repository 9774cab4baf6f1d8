-- Keep which job a call with this key makes.
-- Guard: the primary key; what was kept before :not_since gives way. Index: the primary key (project, key).
INSERT INTO jobs_admin_idempotencykey (project_id, key, job_id, at_ms) VALUES (:project, :key, :id, :now)
ON CONFLICT (project_id, key) DO UPDATE SET job_id = excluded.job_id, at_ms = excluded.at_ms
WHERE at_ms <= :not_since
RETURNING 1
