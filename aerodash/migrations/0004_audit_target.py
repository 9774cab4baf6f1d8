from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("aerodash", "0003_keeper_lease"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["project", "target", "-id"], name="audit_target_newest"),
        ),
    ]
