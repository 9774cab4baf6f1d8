-- Note that workers were heard, at most every few seconds, so that idle ones cost no writes.
-- Guard: they are new, or were last noted before `not_since`; who is being noted at this moment is passed over.
-- Index: the primary key (project, worker).
-- Given: project bigint, id text, hostname text, pid bigint, version text
WITH known AS (
    SELECT worker.project_id, worker.worker_id
    FROM given
    JOIN jobs_admin_worker AS worker ON worker.project_id = given.project AND worker.worker_id = given.id
    WHERE worker.last_seen_at_ms < :not_since
    FOR NO KEY UPDATE OF worker SKIP LOCKED
), heard AS (
    UPDATE jobs_admin_worker AS worker SET last_seen_at_ms = :now
    FROM known
    WHERE worker.project_id = known.project_id AND worker.worker_id = known.worker_id
)
INSERT INTO jobs_admin_worker (
    project_id, worker_id, hostname, pid, version, first_seen_at_ms, last_seen_at_ms, lost_reason
)
SELECT given.project, given.id, given.hostname, given.pid, given.version, :now, :now, ''
FROM given
WHERE NOT EXISTS (
    SELECT 1 FROM jobs_admin_worker AS worker WHERE worker.project_id = given.project AND worker.worker_id = given.id
)
ORDER BY given.project, given.id
ON CONFLICT (project_id, worker_id) DO NOTHING
