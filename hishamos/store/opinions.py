"""What people think of commands: whose favourites they are, and how their versions were rated."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from hishamos.records.command_versions import CommandRating
from hishamos.store.statements import statements

if TYPE_CHECKING:
    from hishamos.store.connectors import Connector, Transaction

SQL = statements("opinions")


def favourites(store: Connector | Transaction, user_name: str) -> list[str]:
    """Return the names of the commands that a person marked, in order."""
    return [row["command"] for row in store.fetch(SQL["favourites"], {"user_name": user_name})]


def favour(transaction: Transaction, user_name: str, command: str, marked_at: datetime | None) -> list[str]:
    """Mark a command for a person, or take the mark away where there is no ``marked_at``; return all that are marked then."""
    values = {"user_name": user_name, "command": command}
    if marked_at is None:
        transaction.execute(SQL["forget_favourite"], values)
    else:
        transaction.execute(SQL["mark_favourite"], values | {"marked_at": marked_at})
    return favourites(transaction, user_name)


def rate(transaction: Transaction, rating: CommandRating) -> CommandRating:
    """Write a rating in place of the one that its person gave that version before."""
    transaction.execute(SQL["rate_command"], rating.model_dump(exclude={"mine"}))
    return rating


def ratings(store: Connector, command: str, user_name: str = "") -> list[CommandRating]:
    """Return the ratings of a command's versions, newest first; ``user_name``: whose are marked as theirs."""
    return [CommandRating(**row, mine=row["user_name"] == user_name) for row in store.fetch(SQL["ratings_of_command"], {"command": command})]
