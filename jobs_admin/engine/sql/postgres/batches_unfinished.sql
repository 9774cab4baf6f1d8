-- Sealed batches that have not ended, in the order of their ids, and whether they are over all the same.
-- Guard: none, it reads. Index: batch_unfinished, batch_counter_key.
SELECT batch.id, NOT EXISTS (
    SELECT 1 FROM jobs_admin_batchcounter AS counter
    WHERE counter.batch_id = batch.id AND counter.status IN ('pending', 'processing')
    GROUP BY counter.status HAVING sum(counter.count) <> 0
)
FROM jobs_admin_batch AS batch
WHERE batch.ended_at_ms IS NULL AND batch.sealed_at_ms IS NOT NULL AND batch.id > :after
ORDER BY batch.id LIMIT :limit
