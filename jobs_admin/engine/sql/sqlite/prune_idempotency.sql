-- Forget idempotency keys that answer no more.
-- Guard: kept before :not_since. Index: idempotency_age.
DELETE FROM jobs_admin_idempotencykey
WHERE rowid IN (
    SELECT rowid FROM jobs_admin_idempotencykey WHERE at_ms <= :not_since ORDER BY at_ms LIMIT :limit
)
RETURNING 1
