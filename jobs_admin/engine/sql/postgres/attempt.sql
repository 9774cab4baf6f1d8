-- Keep how runs ended.
-- Guard: the primary key (job, run): a run ends once. Index: the primary key.
-- Given: id uuid, run integer, outcome text, due bigint, leased bigint, next_due bigint, payload_version integer,
-- Given: worker_id text, worker_name text, error_type text, error_message text, traceback text
INSERT INTO jobs_admin_attempt (
    job_id, run, outcome, due_at_ms, leased_at_ms, ended_at_ms, next_due_at_ms, payload_version, worker_id,
    worker_name, error_type, error_message, traceback
)
SELECT
    id, run, outcome, due, leased, :now, next_due, payload_version, worker_id,
    worker_name, error_type, error_message, traceback
FROM given
