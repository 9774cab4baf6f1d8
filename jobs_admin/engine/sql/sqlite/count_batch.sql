-- Move a batch's counter by what this transaction's jobs moved.
-- Guard: it is there; else count_batch_new adds it. Index: batch_counter_key.
UPDATE jobs_admin_batchcounter SET count = count + :change WHERE batch_id = :batch AND status = :status
