"""Version 2 of Memori's tables."""

from django.db import migrations

from memori.storage.django.tables import BringUpToDate


class Migration(migrations.Migration):  # type: ignore[misc]
    """Index the newest facts of a kind."""

    dependencies = (("memori", "0001_tables"),)
    operations = (BringUpToDate(),)
