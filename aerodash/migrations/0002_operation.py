"""Long work that the keeper does: tracked, cancelled, gone on with after a restart."""

import django.db.models.deletion
import uuid_utils.compat
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('aerodash', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Operation',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=64)),
                ('params', models.TextField(default='{}')),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('running', 'Running'), ('done', 'Done'), ('cancelled', 'Cancelled'), ('failed', 'Failed')], default='waiting', max_length=16)),
                ('turn', models.IntegerField(default=0, help_text='Rises each time a keeper takes it up; it fences the others.')),
                ('cursor', models.TextField(blank=True, help_text='Where it stands; empty at the start.')),
                ('result', models.TextField(default='{}')),
                ('total', models.BigIntegerField()),
                ('total_is_exact', models.BooleanField()),
                ('done', models.BigIntegerField(default=0)),
                ('skipped', models.BigIntegerField(default=0, help_text='Looked at and left as they are.')),
                ('done_is_exact', models.BooleanField(default=True)),
                ('error', models.TextField(blank=True, help_text='Why it failed, or what holds it up.')),
                ('actor_kind', models.CharField(max_length=16)),
                ('actor_id', models.CharField(max_length=64)),
                ('actor_label', models.CharField(max_length=160)),
                ('door', models.CharField(max_length=16)),
                ('request_id', models.CharField(blank=True, max_length=64)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('written_at', models.DateTimeField(blank=True, null=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('cancel_requested_at', models.DateTimeField(blank=True, null=True)),
                ('cancel_requested_by', models.CharField(blank=True, max_length=160)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='aerodash.project')),
            ],
            options={
                'indexes': [models.Index(fields=['project', '-id'], name='operation_project_newest'), models.Index(condition=models.Q(('state__in', ('waiting', 'running'))), fields=['id'], name='operation_open')],
            },
        ),
    ]
