-- Forget idempotency keys that answer no more.
-- Guard: kept before :not_since, checked again on the row itself. Index: idempotency_age.
DELETE FROM jobs_admin_idempotencykey
WHERE at_ms <= :not_since AND ctid = ANY (ARRAY(
    SELECT ctid FROM jobs_admin_idempotencykey WHERE at_ms <= :not_since ORDER BY at_ms LIMIT :limit
))
RETURNING 1
