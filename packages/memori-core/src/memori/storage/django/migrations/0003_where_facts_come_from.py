"""Version 3 of Memori's tables."""

from django.db import migrations

from memori.storage.django.tables import BringUpToDate


class Migration(migrations.Migration):  # type: ignore[misc]
    """Find what a message said and what took a fact's place."""

    dependencies = (("memori", "0002_newest_facts"),)
    operations = (BringUpToDate(),)
