-- Keep which jobs calls with these keys make.
-- Guard: the primary key; what was kept before :not_since gives way. Index: the primary key (project, key).
-- Given: project bigint, key text, id uuid
WITH kept AS (
    INSERT INTO jobs_admin_idempotencykey AS known (project_id, key, job_id, at_ms)
    SELECT project, key, id, :now FROM given ORDER BY project, key
    ON CONFLICT (project_id, key) DO UPDATE SET job_id = excluded.job_id, at_ms = excluded.at_ms
    WHERE known.at_ms <= :not_since
    RETURNING project_id, key
)
SELECT given.n, 1 FROM kept JOIN given ON given.project = kept.project_id AND given.key = kept.key
