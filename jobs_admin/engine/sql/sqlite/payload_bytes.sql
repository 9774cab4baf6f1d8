-- How long the payload of a chosen job is.
-- Guard: none, it reads. Index: the rowid that lane_due found.
SELECT payload_bytes FROM jobs_admin_job WHERE rowid = :ref
