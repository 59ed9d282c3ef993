"""Version 4 of Memori's tables."""

from django.db import migrations

from memori.storage.django.tables import BringUpToDate


class Migration(migrations.Migration):  # type: ignore[misc]
    """Index the facts of a tier."""

    dependencies = (("memori", "0003_where_facts_come_from"),)
    operations = (BringUpToDate(),)
