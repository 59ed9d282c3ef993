"""Django in this process: settings once, and databases that come and go with the tests."""

import os
from contextlib import contextmanager
from itertools import count

import django
import pymysql
from django.conf import settings
from django.db import connections
from sqlalchemy.engine import make_url

_numbers = count()


def _set_up():
    # Django asks for mysqlclient, which needs a compiler; PyMySQL answers to its name.
    pymysql.install_as_MySQLdb()
    settings.configure(
        ALLOWED_HOSTS=["testserver"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "memori.storage.django"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        ROOT_URLCONF="tests.core.storage.django_views",
        SECRET_KEY="nobody",
        USE_TZ=True,
    )
    django.setup()


_set_up()
from django.contrib.auth.models import Group  # noqa: E402, F401 - a table of the project's, for the tests


@contextmanager
def database(**options):
    """The alias of one more database, closed in this thread at the end."""
    alias = f"d{os.getpid()}_{next(_numbers)}"
    configured = connections.configure_settings({"default": {}, alias: options})
    connections.settings[alias] = configured[alias]
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections.settings[alias]
        del connections[alias]


def sqlite(path):
    """Settings of an SQLite file."""
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": {"timeout": 20}}


def server(url):
    """Settings of the database of an SQLAlchemy URL."""
    made = make_url(url)
    return {
        "ENGINE": f"django.db.backends.{'mysql' if 'pymysql' in made.drivername else 'postgresql'}",
        "NAME": made.database,
        "USER": made.username or "",
        "PASSWORD": made.password or "",
        "HOST": made.host or made.query.get("host", ""),
        "PORT": made.port or "",
    }
