-- Make one row of each batch counter's rows, for so many rows at a time.
-- Guard: more than one row, and no other fold has it. Index: batch_counter_key.
WITH doomed AS (
    SELECT counter.id
    FROM jobs_admin_batchcounter AS counter
    WHERE EXISTS (
        SELECT 1 FROM jobs_admin_batchcounter AS other
        WHERE other.batch_id = counter.batch_id AND other.status = counter.status AND other.id <> counter.id
    )
    LIMIT 20000
    FOR UPDATE OF counter SKIP LOCKED
), gone AS (
    DELETE FROM jobs_admin_batchcounter AS counter USING doomed
    WHERE counter.id = doomed.id
    RETURNING counter.batch_id, counter.status, counter.count
)
INSERT INTO jobs_admin_batchcounter (batch_id, status, count)
SELECT batch_id, status, sum(count) FROM gone GROUP BY batch_id, status
