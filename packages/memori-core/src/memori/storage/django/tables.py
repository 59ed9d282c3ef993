"""The operation of our Django migrations: bring Memori's tables up to date by Memori's own migrations."""

from __future__ import annotations

from typing import Any

from django.db import router
from django.db.migrations.operations.base import Operation

from ..records import StorageOptions
from ..sql import migrations
from .database import DjangoDatabase


class BringUpToDate(Operation):  # type: ignore[misc]
    """Forward only, and nothing to do where the tables are there already. `sqlmigrate` prints the statements."""

    reversible = False
    reduces_to_sql = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        """There are no models."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Make or migrate the tables, in the migration's transaction where the database has such."""
        connection = schema_editor.connection
        if not router.allow_migrate(connection.alias, app_label):
            return
        database = DjangoDatabase(lambda: connection, StorageOptions())
        if schema_editor.collect_sql:
            schema_editor.collected_sql.extend(migrations.plan(database).splitlines())
        else:
            migrations.build(database, "auto")

    def describe(self) -> str:
        """What `manage.py migrate --plan` shows."""
        return "Bring Memori's tables up to date"
