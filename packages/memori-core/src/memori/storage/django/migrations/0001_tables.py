"""Version 1 of Memori's tables."""

from django.db import migrations

from memori.storage.django.tables import BringUpToDate


class Migration(migrations.Migration):  # type: ignore[misc]
    """Create the tables."""

    initial = True
    operations = (BringUpToDate(),)
