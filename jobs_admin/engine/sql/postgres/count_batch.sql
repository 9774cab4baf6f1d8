-- Move batches' counters by what this transaction's jobs moved: a row for each change.
-- Guard: none, rows are only added. Index: batch_counter_key grows.
-- Given: batch uuid, status text, change bigint
INSERT INTO jobs_admin_batchcounter (batch_id, status, count) SELECT batch, status, change FROM given
