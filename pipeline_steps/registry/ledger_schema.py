"""The ledger's table, and the triggers that let nobody change, replace or remove an entry."""

from __future__ import annotations

import sqlalchemy as sa

TABLE = "holdfast_ledger"
_REFUSAL = "the ledger is append-only"


def entries_table() -> sa.Table:
    """Return the table of entries: hashes, and evidence as canonical JSON text."""
    return sa.Table(
        TABLE,
        sa.MetaData(),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("model_name", sa.String(256), nullable=False, index=True),
        sa.Column("actor", sa.String(256), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("entry_hash", sa.String(64), nullable=False, unique=True),
    )


def triggers_query(dialect: str) -> str:
    """Return a query for the names of the table's triggers; no rows where there is no table."""
    if dialect == "sqlite":
        return f"SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{TABLE}'"  # noqa: S608 - a constant
    return (
        f"SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass('{TABLE}') AND NOT tgisinternal"  # noqa: S608 - a constant
    )


def append_only_triggers(dialect: str) -> dict[str, list[str]]:
    """Return, for each trigger, the statements that make it; they can be repeated."""
    return _sqlite_triggers() if dialect == "sqlite" else _postgresql_triggers()


def _sqlite_triggers() -> dict[str, list[str]]:
    """Return three triggers: INSERT OR REPLACE removes the old row without any DELETE trigger."""
    refuse = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    taken = (
        f"EXISTS (SELECT 1 FROM {TABLE} "  # noqa: S608 - a constant
        "WHERE sequence = NEW.sequence OR entry_hash = NEW.entry_hash)"
    )
    when = {
        f"{TABLE}_no_update": f"BEFORE UPDATE ON {TABLE}",
        f"{TABLE}_no_delete": f"BEFORE DELETE ON {TABLE}",
        f"{TABLE}_no_replace": f"BEFORE INSERT ON {TABLE} WHEN {taken}",
    }
    return {
        name: [f"CREATE TRIGGER IF NOT EXISTS {name} {moment} {refuse}"]
        for name, moment in when.items()
    }


def _postgresql_triggers() -> dict[str, list[str]]:
    function = (
        f"CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger AS $$ "
        f"BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$ LANGUAGE plpgsql"
    )
    trigger = (
        f"CREATE OR REPLACE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
        f"ON {TABLE} FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_refuse()"
    )
    return {f"{TABLE}_append_only": [function, trigger]}
