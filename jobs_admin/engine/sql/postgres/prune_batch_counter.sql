-- Forget the counters of batches that are gone.
-- Guard: none; prune_batch came before. Index: batch_counter_key.
-- Given: batch uuid
DELETE FROM jobs_admin_batchcounter AS counter USING given WHERE counter.batch_id = given.batch
