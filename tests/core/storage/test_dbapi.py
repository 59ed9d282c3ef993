"""A function that opens DB-API connections is a storage, whatever it returns and however the connections go back."""

import contextlib
import sqlite3

import psycopg
import pymysql
import pytest
from memori import Attribution
from memori.conformance import ItemConformance, StorageConformance, TranscriptConformance
from memori.storage.base import StorageOptions
from memori.storage.dbapi import DBAPIStorage
from sqlalchemy.engine import make_url

from tests.core.storage.servers import mariadb, postgresql

ADA = Attribution("ada", "bot")


@pytest.fixture
def file(tmp_path):
    return str(tmp_path / "memory.db")


@pytest.fixture
def dsn():
    with postgresql().database() as url:
        yield make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture
def mysql():
    with mariadb().database() as url:
        yield make_url(url).translate_connect_args(username="user")


class TestSQLite(StorageConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, file):
        return lambda: DBAPIStorage(lambda: sqlite3.connect(file, timeout=20), StorageOptions())


class TestPsycopg(StorageConformance, TranscriptConformance, ItemConformance):
    @pytest.fixture
    def connect(self, dsn):
        return lambda: DBAPIStorage(lambda: psycopg.connect(dsn), StorageOptions(pool_size=8))


class TestBorrowedPsycopg(StorageConformance):
    @pytest.fixture
    def connect(self, dsn):
        @contextlib.contextmanager
        def borrow():
            with psycopg.connect(dsn, autocommit=False) as connection:
                yield connection

        return lambda: DBAPIStorage(borrow, StorageOptions())


class TestPyMySQL(StorageConformance):
    @pytest.fixture
    def connect(self, mysql):
        return lambda: DBAPIStorage(lambda: pymysql.connect(**mysql), StorageOptions(pool_size=8))
