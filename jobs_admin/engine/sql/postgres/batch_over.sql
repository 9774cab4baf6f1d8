-- Which of these batches are sealed, have not ended, and have no unfinished member.
-- Guard: none, it reads. Index: the primary key, batch_counter_key.
-- Given: batch uuid
SELECT given.n, 1 FROM given JOIN jobs_admin_batch AS batch ON batch.id = given.batch
WHERE batch.sealed_at_ms IS NOT NULL AND batch.ended_at_ms IS NULL AND NOT EXISTS (
    SELECT 1 FROM jobs_admin_batchcounter AS counter
    WHERE counter.batch_id = batch.id AND counter.status IN ('pending', 'processing')
    GROUP BY counter.status HAVING sum(counter.count) <> 0
)
