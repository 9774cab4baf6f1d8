"""The job engine's second schema: what jobs, types, batches and schedules carry, and counters of several rows.

Tables are made anew and filled from the old ones, because SQLite appends added columns behind the long texts, and
every read of them would walk through those.
"""

import django.db.models.deletion
from django.db import migrations, models

REBUILT = ("job", "attempt", "jobevent", "jobcounter", "jobtype", "worker")
AGAIN = {"retry_policy": "CASE WHEN retry_base_ms IS NULL THEN '' ELSE '{\"kind\":\"exponential\",\"base_ms\":' || retry_base_ms || ',\"cap_ms\":' || coalesce(retry_cap_ms, 3600000) || '}' END"}
"""Columns that are made of old ones, as SQL over the old table."""


def save(apps, schema_editor):
    for name in REBUILT:
        schema_editor.execute(f"CREATE TABLE jobs_admin_{name}_before AS SELECT * FROM jobs_admin_{name}")


def restore(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        for name in REBUILT:
            before = {
                column.name
                for column in schema_editor.connection.introspection.get_table_description(
                    cursor, f"jobs_admin_{name}_before"
                )
            }
            columns, values, literals = [], [], []
            for field in apps.get_model("jobs_admin", name)._meta.local_concrete_fields:
                column = field.column
                if column in before:
                    value = f'"{column}"'
                elif column in AGAIN:
                    value = AGAIN[column]
                elif field.primary_key:
                    continue  # the database numbers the rows
                else:
                    value = "%s"
                    literals.append(field.get_default())
                columns.append(f'"{column}"')
                values.append(value)
            cursor.execute(
                f"INSERT INTO jobs_admin_{name} ({', '.join(columns)}) "
                f"SELECT {', '.join(values)} FROM jobs_admin_{name}_before",
                literals,
            )
            if "id" in before and name == "jobevent" and schema_editor.connection.vendor == "postgresql":
                cursor.execute(
                    "SELECT setval(pg_get_serial_sequence('jobs_admin_jobevent', 'id'), "
                    "(SELECT coalesce(max(id), 0) + 1 FROM jobs_admin_jobevent), false)"
                )
            cursor.execute(f"DROP TABLE jobs_admin_{name}_before")
        cursor.execute(
            "INSERT INTO jobs_admin_joblane (project_id, type, priority) "
            "SELECT DISTINCT project_id, type, priority FROM jobs_admin_job"
        )


class Migration(migrations.Migration):
    dependencies = [
        ("aerodash", "0001_initial"),
        ("jobs_admin", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(save),
        *(migrations.DeleteModel(name) for name in ("Attempt", "JobEvent", "JobCounter", "JobType", "Worker", "Job")),
        migrations.CreateModel(
            name='Job',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('project', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='aerodash.project')),
                ('type', models.CharField(max_length=128)),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('processing', 'Processing'), ('completed', 'Completed'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='pending', max_length=10)),
                ('priority', models.SmallIntegerField(default=5)),
                ('run', models.IntegerField(default=0)),
                ('attempts', models.IntegerField(default=0)),
                ('crashes', models.IntegerField(default=0)),
                ('max_retries', models.IntegerField(default=3)),
                ('created_at_ms', models.BigIntegerField()),
                ('due_at_ms', models.BigIntegerField()),
                ('started_at_ms', models.BigIntegerField(null=True)),
                ('ended_at_ms', models.BigIntegerField(null=True)),
                ('lease_token', models.CharField(default='', max_length=32)),
                ('lease_expires_at_ms', models.BigIntegerField(null=True)),
                ('worker_id', models.CharField(default='', max_length=64)),
                ('worker_name', models.CharField(default='', max_length=160)),
                ('cancel_requested_at_ms', models.BigIntegerField(null=True)),
                ('cancel_requested_by', models.CharField(default='', max_length=160)),
                ('run_ends_at_ms', models.BigIntegerField(null=True)),
                ('retry_policy', models.TextField(default='')),
                ('timeout_ms', models.BigIntegerField(null=True)),
                ('deadline_at_ms', models.BigIntegerField(null=True)),
                ('unique_key', models.CharField(default='', max_length=256)),
                ('unique_until_ms', models.BigIntegerField(null=True)),
                ('holds_key', models.BooleanField(default=False)),
                ('partition_key', models.CharField(default='', max_length=256)),
                ('batch_id', models.UUIDField(null=True)),
                ('traceparent', models.CharField(default='', max_length=64)),
                ('enqueued_by', models.CharField(default='', max_length=160)),
                ('enqueued_door', models.CharField(default='', max_length=16)),
                ('payload_version', models.IntegerField(default=1)),
                ('payload_bytes', models.IntegerField()),
                ('tags', models.TextField(default='')),
                ('error_type', models.CharField(default='', max_length=256)),
                ('error_message', models.TextField(default='')),
                ('payload', models.TextField()),
                ('result', models.TextField(default='')),
                ('traceback', models.TextField(default='')),
            ],
        ),
        migrations.CreateModel(
            name='BatchCounter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('batch_id', models.UUIDField()),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('processing', 'Processing'), ('completed', 'Completed'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], max_length=10)),
                ('count', models.BigIntegerField(default=0)),
            ],
            options={
                'indexes': [models.Index(fields=['batch_id', 'status'], name='batch_counter_key')],
            },
        ),
        migrations.CreateModel(
            name='JobProgress',
            fields=[
                ('job', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to='jobs_admin.job')),
                ('run', models.IntegerField()),
                ('percent', models.FloatField(null=True)),
                ('message', models.CharField(default='', max_length=1024)),
                ('at_ms', models.BigIntegerField()),
                ('log_lines', models.IntegerField(default=0, help_text='Lines kept, of all runs.')),
                ('log_dropped', models.IntegerField(default=0, help_text='Lines that were over the bound and are not kept.')),
            ],
        ),
        migrations.CreateModel(
            name='Attempt',
            fields=[
                ('pk', models.CompositePrimaryKey('job_id', 'run', blank=True, editable=False, primary_key=True, serialize=False)),
                ('run', models.IntegerField()),
                ('outcome', models.CharField(choices=[('completed', 'Completed'), ('failed', 'Failed'), ('released', 'Released'), ('lease_expired', 'Lease Expired'), ('timed_out', 'Timed Out'), ('worker_lost', 'Worker Lost'), ('cancelled', 'Cancelled')], max_length=16)),
                ('due_at_ms', models.BigIntegerField()),
                ('leased_at_ms', models.BigIntegerField()),
                ('ended_at_ms', models.BigIntegerField()),
                ('next_due_at_ms', models.BigIntegerField(help_text='When the retry that followed was due, if one did.', null=True)),
                ('payload_version', models.IntegerField()),
                ('worker_id', models.CharField(max_length=64)),
                ('worker_name', models.CharField(max_length=160)),
                ('error_type', models.CharField(default='', max_length=256)),
                ('error_message', models.TextField(default='')),
                ('traceback', models.TextField(default='')),
                ('job', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='jobs_admin.job')),
            ],
        ),
        migrations.CreateModel(
            name='JobCounter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('type', models.CharField(max_length=128)),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('processing', 'Processing'), ('completed', 'Completed'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], max_length=10)),
                ('count', models.BigIntegerField(default=0)),
                ('project', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='aerodash.project')),
            ],
        ),
        migrations.CreateModel(
            name='JobEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at_ms', models.BigIntegerField()),
                ('kind', models.CharField(choices=[('cancel_requested', 'Cancel Requested'), ('cancelled', 'Cancelled'), ('retried', 'Retried'), ('late_result', 'Late Result'), ('poisoned', 'Poisoned'), ('expired', 'Expired'), ('replaced', 'Replaced')], max_length=24)),
                ('run', models.IntegerField(help_text="The job's run at that moment.")),
                ('actor_kind', models.CharField(max_length=16)),
                ('actor_id', models.CharField(max_length=64)),
                ('actor_label', models.CharField(max_length=160)),
                ('door', models.CharField(max_length=16)),
                ('request_id', models.CharField(default='', max_length=64)),
                ('details', models.TextField(default='{}', help_text="A JSON object; users' values stand in it as JSON text.")),
                ('job', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='jobs_admin.job')),
            ],
        ),
        migrations.CreateModel(
            name='JobLane',
            fields=[
                ('pk', models.CompositePrimaryKey('project_id', 'type', 'priority', blank=True, editable=False, primary_key=True, serialize=False)),
                ('type', models.CharField(max_length=128)),
                ('priority', models.SmallIntegerField()),
                ('project', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='aerodash.project')),
            ],
        ),
        migrations.CreateModel(
            name='JobLog',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('run', models.IntegerField()),
                ('at_ms', models.BigIntegerField()),
                ('level', models.CharField(choices=[('debug', 'Debug'), ('info', 'Info'), ('warning', 'Warning'), ('error', 'Error')], max_length=8)),
                ('message', models.TextField()),
                ('job', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='jobs_admin.job')),
            ],
        ),
        migrations.CreateModel(
            name='JobTag',
            fields=[
                ('pk', models.CompositePrimaryKey('project_id', 'tag', 'job_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('tag', models.CharField(max_length=64)),
                ('job', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, to='jobs_admin.job')),
                ('project', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='aerodash.project')),
            ],
        ),
        migrations.CreateModel(
            name='JobType',
            fields=[
                ('pk', models.CompositePrimaryKey('project_id', 'name', blank=True, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=128)),
                ('paused_at_ms', models.BigIntegerField(null=True)),
                ('paused_by', models.CharField(default='', max_length=160)),
                ('pause_reason', models.CharField(default='', max_length=256)),
                ('retry_policy', models.TextField(default='')),
                ('max_retries', models.IntegerField(null=True)),
                ('lease_ms', models.BigIntegerField(null=True)),
                ('timeout_ms', models.BigIntegerField(null=True)),
                ('concurrency', models.IntegerField(null=True)),
                ('rate', models.IntegerField(null=True)),
                ('rate_per_ms', models.BigIntegerField(null=True)),
                ('rate_burst', models.IntegerField(null=True)),
                ('partition_concurrency', models.IntegerField(null=True)),
                ('partition_rate', models.IntegerField(null=True)),
                ('partition_rate_per_ms', models.BigIntegerField(null=True)),
                ('partition_rate_burst', models.IntegerField(null=True)),
                ('retention_completed_s', models.BigIntegerField(null=True)),
                ('retention_failed_s', models.BigIntegerField(null=True)),
                ('retention_cancelled_s', models.BigIntegerField(null=True)),
                ('secret_paths', models.TextField(default='[]', help_text='A JSON array of paths into the payload.')),
                ('project', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='aerodash.project')),
            ],
        ),
        migrations.CreateModel(
            name='RateBucket',
            fields=[
                ('pk', models.CompositePrimaryKey('project_id', 'type', 'partition_key', blank=True, editable=False, primary_key=True, serialize=False)),
                ('type', models.CharField(max_length=128)),
                ('partition_key', models.CharField(max_length=256)),
                ('tokens', models.FloatField()),
                ('at_ms', models.BigIntegerField()),
                ('project', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='aerodash.project')),
            ],
        ),
        migrations.CreateModel(
            name='Schedule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=128)),
                ('type', models.CharField(max_length=128)),
                ('job', models.TextField()),
                ('cron', models.CharField(default='', max_length=128)),
                ('every_ms', models.BigIntegerField(null=True)),
                ('timezone', models.CharField(default='UTC', max_length=64)),
                ('missed', models.CharField(choices=[('skip', 'Skip'), ('one', 'One'), ('all', 'All')], default='one', max_length=8)),
                ('paused_at_ms', models.BigIntegerField(null=True)),
                ('created_at_ms', models.BigIntegerField()),
                ('updated_at_ms', models.BigIntegerField()),
                ('updated_by', models.CharField(default='', max_length=160)),
                ('next_at_ms', models.BigIntegerField(null=True)),
                ('last_at_ms', models.BigIntegerField(null=True)),
                ('last_job_id', models.UUIDField(null=True)),
                ('version', models.IntegerField(default=1)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='aerodash.project')),
            ],
        ),
        migrations.CreateModel(
            name='ScheduleSlot',
            fields=[
                ('pk', models.CompositePrimaryKey('schedule_id', 'slot_ms', blank=True, editable=False, primary_key=True, serialize=False)),
                ('slot_ms', models.BigIntegerField()),
                ('job_id', models.UUIDField(null=True)),
                ('schedule', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='jobs_admin.schedule')),
            ],
        ),
        migrations.CreateModel(
            name='Worker',
            fields=[
                ('pk', models.CompositePrimaryKey('project_id', 'worker_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('worker_id', models.CharField(max_length=64)),
                ('hostname', models.CharField(max_length=128)),
                ('pid', models.BigIntegerField()),
                ('version', models.CharField(max_length=64)),
                ('first_seen_at_ms', models.BigIntegerField()),
                ('last_seen_at_ms', models.BigIntegerField()),
                ('lost_at_ms', models.BigIntegerField(help_text='When a supervisor said that it had died.', null=True)),
                ('lost_reason', models.CharField(default='', max_length=1024)),
                ('project', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='aerodash.project')),
            ],
        ),
        migrations.CreateModel(
            name='Batch',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(default='', max_length=128)),
                ('created_at_ms', models.BigIntegerField()),
                ('created_by', models.CharField(default='', max_length=160)),
                ('sealed_at_ms', models.BigIntegerField(null=True)),
                ('ended_at_ms', models.BigIntegerField(null=True)),
                ('on_complete', models.TextField(default='')),
                ('completion_job_id', models.UUIDField(null=True)),
                ('project', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='aerodash.project')),
            ],
            options={
                'indexes': [models.Index(fields=['project', 'id'], name='batch_of_project'), models.Index(condition=models.Q(('ended_at_ms', None), ('sealed_at_ms__isnull', False)), fields=['id', 'sealed_at_ms'], name='batch_unfinished')],
            },
        ),
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('pk', models.CompositePrimaryKey('project_id', 'key', blank=True, editable=False, primary_key=True, serialize=False)),
                ('key', models.CharField(max_length=256)),
                ('job_id', models.UUIDField()),
                ('at_ms', models.BigIntegerField()),
                ('project', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='aerodash.project')),
            ],
            options={
                'indexes': [models.Index(fields=['at_ms'], name='idempotency_age')],
            },
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['project', 'type', 'priority', 'due_at_ms', 'status'], name='job_lease_order'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('status', 'processing')), fields=['lease_expires_at_ms'], name='job_lease_expiry'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(fields=['project', 'status', 'id'], name='job_by_status'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(fields=['project', 'type', 'status', 'id'], name='job_by_type'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('attempts__gt', 0), ('status', 'pending')), fields=['project', 'status', 'id'], name='job_retrying'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('cancel_requested_at_ms__isnull', False), ('status', 'processing')), fields=['project', 'status', 'id'], name='job_cancelling'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('deadline_at_ms__isnull', False), ('status', 'pending')), fields=['deadline_at_ms', 'status'], name='job_deadline'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('status', 'pending'), models.Q(('partition_key', ''), _negated=True)), fields=['project', 'type', 'partition_key', 'priority', 'due_at_ms', 'status'], name='job_waiting_by_key'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('status', 'processing'), models.Q(('partition_key', ''), _negated=True)), fields=['project', 'type', 'partition_key', 'status'], name='job_running_by_key'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('batch_id__isnull', False)), fields=['batch_id', 'status', 'id'], name='job_of_batch'),
        ),
        migrations.AddConstraint(
            model_name='job',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'processing', 'completed', 'failed', 'cancelled'])), name='job_status_is_known'),
        ),
        migrations.AddConstraint(
            model_name='job',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('lease_expires_at_ms__isnull', False), ('status', 'processing'), models.Q(('lease_token', ''), _negated=True)), models.Q(models.Q(('status', 'processing'), _negated=True), ('lease_expires_at_ms', None), ('lease_token', '')), _connector='OR'), name='job_leased_while_processing'),
        ),
        migrations.AddConstraint(
            model_name='job',
            constraint=models.UniqueConstraint(condition=models.Q(('holds_key', True)), fields=('project', 'type', 'unique_key'), name='job_holds_unique_key'),
        ),
        migrations.AddIndex(
            model_name='jobcounter',
            index=models.Index(fields=['project', 'type', 'status'], name='counter_key'),
        ),
        migrations.AddIndex(
            model_name='jobevent',
            index=models.Index(fields=['job', 'id'], name='event_of_job'),
        ),
        migrations.AddIndex(
            model_name='joblog',
            index=models.Index(fields=['job', 'id'], name='log_of_job'),
        ),
        migrations.AddIndex(
            model_name='schedule',
            index=models.Index(condition=models.Q(('next_at_ms__isnull', False)), fields=['next_at_ms'], name='schedule_next'),
        ),
        migrations.AddConstraint(
            model_name='schedule',
            constraint=models.UniqueConstraint(fields=('project', 'name'), name='schedule_name'),
        ),
        migrations.AddIndex(
            model_name='worker',
            index=models.Index(fields=['project', '-last_seen_at_ms'], name='worker_last_seen'),
        ),
        migrations.RunPython(restore),
    ]
