-- Count one more late result on the last of those that a job's timeline keeps. The details are a JSON object's text, and
-- stay text: PostgreSQL's JSON cannot hold what users may send. `more` is its last member.
-- Guard: the job has as many late results as are kept. Index: event_of_job, then the primary key.
-- Given: id uuid
UPDATE jobs_admin_jobevent AS event
SET details = CASE
    WHEN event.details ~ '"more": [0-9]+\}$'
    THEN regexp_replace(event.details, '[0-9]+\}$', '')
        || (substring(event.details from '([0-9]+)\}$')::bigint + 1) || '}'
    ELSE left(event.details, -1) || ', "more": 1}'
END
FROM given
CROSS JOIN LATERAL (
    SELECT late.id FROM jobs_admin_jobevent AS late
    WHERE late.job_id = given.id AND late.kind = 'late_result'
    ORDER BY late.id
    LIMIT 1 OFFSET :kept::bigint - 1
) AS last
WHERE event.id = last.id
RETURNING given.n, 1
