"""Version 5 of Memori's tables."""

from django.db import migrations

from memori.storage.django.tables import BringUpToDate


class Migration(migrations.Migration):  # type: ignore[misc]
    """Index the items of a namespace."""

    dependencies = (("memori", "0004_tiers"),)
    operations = (BringUpToDate(),)
