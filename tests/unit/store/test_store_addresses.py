"""From the setting ``store`` to a connector, and addresses without secrets."""

from __future__ import annotations

import pytest

from hishamos.errors import StoreError
from hishamos.store.connectors import is_postgres, open_connector
from hishamos.store.connectors.postgres import _split_schema, _without_secrets


def test_addresses_of_postgres_are_known_by_their_scheme():
    assert is_postgres("postgres://h/db")
    assert is_postgres("postgresql://h/db")
    assert not is_postgres("data/postgresql.duckdb")
    assert not is_postgres(":memory:")


def test_a_file_is_looked_for_below_the_workspace(tmp_path):
    for store, root, where in (
        ("a/b.duckdb", tmp_path, tmp_path / "a" / "b.duckdb"),
        (str(tmp_path / "c.duckdb"), tmp_path / "other", tmp_path / "c.duckdb"),
    ):
        connector = open_connector(store, root)
        assert connector.address == str(where)
        assert connector.size_bytes() == sum(file.stat().st_size for file in where.parent.glob(where.name + "*"))
        connector.close()
        assert where.exists()


def test_memory_has_no_size_and_no_copy(tmp_path):
    connector = open_connector(":memory:")
    assert (connector.address, connector.size_bytes()) == (":memory:", None)
    with pytest.raises(StoreError, match="in memory"):
        connector.copy_to(tmp_path / "x")
    connector.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u@h:1/db", "postgresql://u@h:1/db"),
        ("postgresql://u:s3cr%40t@h:1/db?schema=a", "postgresql://u:***@h:1/db?schema=a"),
        ("postgresql://u@h/db?password=s3cret&schema=a", "postgresql://u@h/db?password=***&schema=a"),
    ],
)
def test_an_address_is_shown_without_secrets(url, shown):
    assert _without_secrets(url) == shown
    assert "s3c" not in _without_secrets(url)


def test_the_schema_is_taken_from_the_address():
    assert _split_schema("postgresql://u@h/db?schema=team_1&connect_timeout=3") == ("postgresql://u@h/db?connect_timeout=3", "team_1")
    assert _split_schema("postgresql://u@h/db") == ("postgresql://u@h/db", None)


@pytest.mark.parametrize("schema", ["a;drop", "a b", "1a", "ä", "a" * 64, 'a"b'])
def test_a_schema_that_is_no_name_is_refused(schema):
    with pytest.raises(StoreError, match="is no name for a schema"):
        _split_schema(f"postgresql://u:s3cret@h/db?schema={schema}")


def test_a_server_that_does_not_answer_is_named_without_the_password():
    with pytest.raises(StoreError, match=r"Check \[workspace\] store and that PostgreSQL runs") as caught:
        open_connector("postgresql://u:s3cret@127.0.0.1:1/db")
    assert "s3cret" not in str(caught.value)
