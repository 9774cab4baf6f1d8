"""The timeline: counts, gauges and histograms in buckets, and what processes counted until it is in them."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('aerodash', '0003_key_compat'),
    ]

    operations = [
        migrations.CreateModel(
            name='RollupDelta',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('figures', models.TextField()),
                ('project', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='aerodash.project')),
            ],
        ),
        migrations.CreateModel(
            name='RollupSeries',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('metric', models.CharField(max_length=64)),
                ('label', models.CharField(max_length=128)),
                ('first_at_s', models.BigIntegerField()),
                ('counter', models.BigIntegerField(null=True)),
                ('turn', models.BigIntegerField(default=0)),
                ('project', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='aerodash.project')),
            ],
        ),
        migrations.CreateModel(
            name='RollupBucket',
            fields=[
                ('pk', models.CompositePrimaryKey('series_id', 'step_s', 'at_s', blank=True, editable=False, primary_key=True, serialize=False)),
                ('step_s', models.IntegerField()),
                ('at_s', models.BigIntegerField()),
                ('count', models.BigIntegerField()),
                ('total', models.FloatField()),
                ('least', models.FloatField(null=True)),
                ('most', models.FloatField(null=True)),
                ('times', models.BinaryField(default=bytes)),
                ('series', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='aerodash.rollupseries')),
            ],
        ),
        migrations.AddConstraint(
            model_name='rollupseries',
            constraint=models.UniqueConstraint(fields=('project', 'metric', 'label'), name='rollup_series_key'),
        ),
    ]
