-- End a batch.
-- Guard: sealed, not ended, no unfinished member. Index: the primary key, batch_counter_key.
UPDATE jobs_admin_batch SET ended_at_ms = :now
WHERE id = :batch AND sealed_at_ms IS NOT NULL AND ended_at_ms IS NULL AND NOT EXISTS (
    SELECT 1 FROM jobs_admin_batchcounter AS counter
    WHERE counter.batch_id = :batch AND counter.status IN ('pending', 'processing')
    GROUP BY counter.status HAVING sum(counter.count) <> 0
)
RETURNING project_id, on_complete, completion_job_id
