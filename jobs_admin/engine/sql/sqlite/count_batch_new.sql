-- Add a batch's counter.
-- Guard: none; count_batch found none, and nobody else writes. Index: batch_counter_key grows.
INSERT INTO jobs_admin_batchcounter (batch_id, status, count) VALUES (:batch, :status, :change)
