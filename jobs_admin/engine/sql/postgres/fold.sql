-- Make one row of each counter's rows, for so many rows at a time.
-- Guard: more than one row, and no other fold has it. Index: counter_key.
WITH doomed AS (
    SELECT counter.id
    FROM jobs_admin_jobcounter AS counter
    WHERE EXISTS (
        SELECT 1 FROM jobs_admin_jobcounter AS other
        WHERE other.project_id = counter.project_id AND other.type = counter.type AND other.status = counter.status
            AND other.id <> counter.id
    )
    LIMIT 20000
    FOR UPDATE OF counter SKIP LOCKED
), gone AS (
    DELETE FROM jobs_admin_jobcounter AS counter USING doomed
    WHERE counter.id = doomed.id
    RETURNING counter.project_id, counter.type, counter.status, counter.count
)
INSERT INTO jobs_admin_jobcounter (project_id, type, status, count)
SELECT project_id, type, status, sum(count) FROM gone GROUP BY project_id, type, status
