-- End batches.
-- Guard: sealed, not ended, no unfinished member. Index: the primary key, batch_counter_key.
-- Given: batch uuid
UPDATE jobs_admin_batch AS batch SET ended_at_ms = :now
FROM given
WHERE batch.id = given.batch AND batch.sealed_at_ms IS NOT NULL AND batch.ended_at_ms IS NULL AND NOT EXISTS (
    SELECT 1 FROM jobs_admin_batchcounter AS counter
    WHERE counter.batch_id = given.batch AND counter.status IN ('pending', 'processing')
    GROUP BY counter.status HAVING sum(counter.count) <> 0
)
RETURNING given.n, batch.project_id, batch.on_complete, batch.completion_job_id
