-- Whether a batch is sealed, has not ended, and has no unfinished member.
-- Guard: none, it reads. Index: the primary key, batch_counter_key.
SELECT batch.id FROM jobs_admin_batch AS batch
WHERE batch.id = :batch AND batch.sealed_at_ms IS NOT NULL AND batch.ended_at_ms IS NULL AND NOT EXISTS (
    SELECT 1 FROM jobs_admin_batchcounter AS counter
    WHERE counter.batch_id = :batch AND counter.status IN ('pending', 'processing')
    GROUP BY counter.status HAVING sum(counter.count) <> 0
)
