-- How long the payloads of the chosen jobs are.
-- Guard: none, it reads. Index: the rowids that lane_due found.
SELECT rowid, payload_bytes FROM jobs_admin_job WHERE rowid IN (SELECT value FROM json_each(:chosen))
