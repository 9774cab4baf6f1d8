-- Members of batches are to run again: the batches have not ended any more.
-- Guard: none; it locks a batch also where it has not ended yet, so that batch_finish comes before or after. Index: the primary key.
-- Given: batch uuid
WITH locked AS (
    SELECT batch.id FROM given JOIN jobs_admin_batch AS batch ON batch.id = given.batch
    ORDER BY given.n FOR UPDATE OF batch
)
UPDATE jobs_admin_batch AS batch SET ended_at_ms = NULL FROM locked WHERE batch.id = locked.id
