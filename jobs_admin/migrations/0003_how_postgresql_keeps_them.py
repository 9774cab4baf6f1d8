"""How PostgreSQL cleans up behind the job engine; other databases have nothing to do.

A job's row is written three times in its short life, counters are added and folded, and each leaves dead rows. By
default they are cleaned up once a fifth of a table is dead, which of ten million kept jobs is two million. Rows that
are changed in place again and again get room on their page for the next version, so that no index is written for it.
"""

from django.db import migrations

BUSY = (
    "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000, "
    "autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02, "
    "autovacuum_analyze_threshold = 5000, autovacuum_vacuum_cost_delay = 0"
)
SMALL = (
    "autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000, "
    "autovacuum_analyze_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 0"
)
IN_PLACE = f"{SMALL}, fillfactor = 70"

TABLES = {
    "job": BUSY,
    "attempt": BUSY,
    "jobcounter": SMALL,
    "batchcounter": SMALL,
    "idempotencykey": SMALL,
    "worker": SMALL,
    "jobprogress": IN_PLACE,
    "ratebucket": IN_PLACE,
    "batch": IN_PLACE,
    "schedule": IN_PLACE,
}


def set_up(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table, options in TABLES.items():
            schema_editor.execute(f"ALTER TABLE jobs_admin_{table} SET ({options})")


def undo(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table, options in TABLES.items():
            names = ", ".join(option.split("=")[0].strip() for option in options.split(","))
            schema_editor.execute(f"ALTER TABLE jobs_admin_{table} RESET ({names})")


class Migration(migrations.Migration):
    dependencies = [("jobs_admin", "0002_what_jobs_carry")]

    operations = [migrations.RunPython(set_up, undo)]
