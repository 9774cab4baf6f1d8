-- Forget the counters of a batch that is gone.
-- Guard: none; prune_batch came before. Index: batch_counter_key.
DELETE FROM jobs_admin_batchcounter WHERE batch_id = :batch
