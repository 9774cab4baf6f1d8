-- Keep how a run ended.
-- Guard: the primary key (job, run): a run ends once. Index: the primary key.
INSERT INTO jobs_admin_attempt (
    job_id, run, outcome, due_at_ms, leased_at_ms, ended_at_ms, next_due_at_ms, payload_version, worker_id,
    worker_name, error_type, error_message, traceback
) VALUES (
    :id, :run, :outcome, :due, :leased, :now, :next_due, :payload_version, :worker_id,
    :worker_name, :error_type, :error_message, :traceback
)
