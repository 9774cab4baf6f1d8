-- A member of a batch is to run again: the batch has not ended any more.
-- Guard: none; it locks the batch also where it has not ended yet, so that batch_finish comes before or after. Index: the primary key.
UPDATE jobs_admin_batch SET ended_at_ms = NULL WHERE id = :batch
