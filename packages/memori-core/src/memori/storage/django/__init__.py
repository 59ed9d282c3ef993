"""Memory in a Django project's own database: `Memori(django.db.connection)`, and an app whose migrations make it."""
