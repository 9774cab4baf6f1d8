-- Have keys answer with the jobs that their calls were answered with.
-- Guard: none; it runs in the calls' own transaction. Index: the primary key (project, key).
-- Given: project bigint, key text, id uuid
UPDATE jobs_admin_idempotencykey AS kept SET job_id = given.id
FROM given WHERE kept.project_id = given.project AND kept.key = given.key
