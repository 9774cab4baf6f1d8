-- Count one more late result on the last of those that a job's timeline keeps.
-- Guard: the job has as many late results as are kept. Index: event_of_job, then the primary key.
UPDATE jobs_admin_jobevent
SET details = json_set(details, '$.more', coalesce(json_extract(details, '$.more'), 0) + 1)
WHERE id = (
    SELECT id FROM jobs_admin_jobevent
    WHERE job_id = :id AND kind = 'late_result'
    ORDER BY id
    LIMIT 1 OFFSET :kept - 1
)
RETURNING 1
