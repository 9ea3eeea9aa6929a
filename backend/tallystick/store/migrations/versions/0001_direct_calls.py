"""Directly paid calls and their postings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identity",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "calls",
        sa.Column("call_id", sa.String(66), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("payer", sa.String(42), nullable=False),
        sa.Column("terms", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("reserved_at", sa.Integer, nullable=False),
        sa.Column("answered_at", sa.Integer),
        sa.Column("receipt", sa.Text),
        sa.Column("answer", sa.Text),
        sa.Column("reply", sa.LargeBinary),
        sa.Column("failure", sa.Text),
    )
    op.create_index("ix_calls_state", "calls", ["state"])
    op.create_table(
        "postings",
        sa.Column("posting_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("call_id", sa.String(66), sa.ForeignKey("calls.call_id"), nullable=False, unique=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("sender", sa.String(42)),
        sa.Column("nonce", sa.Integer),
        sa.Column("raw", sa.LargeBinary),
        sa.Column("transaction_hash", sa.String(66)),
        sa.Column("mined", sa.Text),
        sa.Column("failure", sa.Text),
    )
    op.create_index("ix_postings_state", "postings", ["state"])
