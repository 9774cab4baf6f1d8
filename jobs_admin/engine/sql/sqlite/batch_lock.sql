-- Keep the members of a batch that have ended from coming back before this transaction ends.
-- Guard: none; this transaction is the only one that writes. Index: the primary key.
SELECT id FROM jobs_admin_batch WHERE id = :batch
