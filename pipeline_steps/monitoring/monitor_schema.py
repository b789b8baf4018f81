"""The tables of a monitor, beside the traffic log: its place in the log, windows, tickets."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa


@dataclass(frozen=True)
class MonitorTables:
    """State of each model, reports of windows, tickets, label requests, decisions."""

    metadata: sa.MetaData
    state: sa.Table
    windows: sa.Table
    tickets: sa.Table
    requests: sa.Table
    decisions: sa.Table


def monitor_tables() -> MonitorTables:
    """Return the tables; values are JSON text, what is asked for has a column of its own."""
    metadata = sa.MetaData()
    state = sa.Table(
        "holdfast_monitor_state",
        metadata,
        sa.Column("model_name", sa.String(256), primary_key=True),
        sa.Column("training_digest", sa.String(64), nullable=False),
        sa.Column("anchor_digest", sa.String(64), nullable=False),
        sa.Column("cursor", sa.BigInteger, nullable=False),
        sa.Column("detector", sa.LargeBinary, nullable=False),
        sa.Column("seen", sa.Text, nullable=False),
    )
    windows = sa.Table(
        "holdfast_monitor_windows",
        metadata,
        sa.Column("model_name", sa.String(256), primary_key=True),
        sa.Column("first_sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
    )
    tickets = sa.Table(
        "holdfast_tickets",
        metadata,
        sa.Column("ticket", sa.String(64), primary_key=True),
        sa.Column("model_name", sa.String(256), nullable=False, index=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    requests = sa.Table(
        "holdfast_label_requests",
        metadata,
        sa.Column("ticket", sa.String(64), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("prediction_id", sa.String(128), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("skipped", sa.Boolean, nullable=False),
        sa.Column("skipped_over", sa.BigInteger),  # when the label of then was given, if any
        sa.UniqueConstraint("ticket", "prediction_id"),
    )
    decisions = sa.Table(
        "holdfast_retrain_decisions",
        metadata,
        sa.Column("decision_id", sa.String(64), primary_key=True),
        sa.Column("model_name", sa.String(256), nullable=False, index=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("recorded", sa.Boolean, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    return MonitorTables(metadata, state, windows, tickets, requests, decisions)
