"""The app: with "memori.storage.django" in INSTALLED_APPS, `manage.py migrate` makes Memori's tables."""

from django.apps import AppConfig


class MemoriConfig(AppConfig):  # type: ignore[misc]
    """No models: the tables are Memori's own, and so is their schema."""

    name = "memori.storage.django"
    label = "memori"
    verbose_name = "Memori"
