-- Keep the members of batches that have ended from coming back before this transaction ends: batch_again waits.
-- Guard: none; batch_finish asks anew, as of a later moment. Index: the primary key.
-- Given: batch uuid
SELECT given.n, 1 FROM given JOIN jobs_admin_batch AS batch ON batch.id = given.batch
ORDER BY given.n FOR UPDATE OF batch
