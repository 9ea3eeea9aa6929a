"""The tables. Amounts and ids that may exceed 64 bits are decimal or hex text; nothing passes through a float."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

identity = Table(
    "identity",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", Text, nullable=False),
    comment="which deployment and oracle this store belongs to",
)

calls = Table(
    "calls",
    metadata,
    Column("call_id", String(66), primary_key=True),
    Column("state", String(16), nullable=False, comment="reserved, completed, abandoned"),
    Column("payer", String(42), nullable=False),
    Column("terms", Text, nullable=False, comment="DirectCall.to_dict()"),
    Column("salt", LargeBinary, nullable=False),
    Column("request", LargeBinary, nullable=False, comment="canonical request"),
    Column("reserved_at", Integer, nullable=False, comment="Unix seconds"),
    Column("answered_at", Integer, comment="Unix seconds"),
    Column("receipt", Text, comment="SignedReceipt.to_dict()"),
    Column("answer", Text, comment="effective parameters and result"),
    Column("reply", LargeBinary, comment="the reply's exact bytes"),
    Column("failure", Text, comment="error body of an abandoned call"),
    Index("ix_calls_state", "state"),
)

postings = Table(
    "postings",
    metadata,
    Column("posting_id", Integer, primary_key=True, autoincrement=True),
    Column("call_id", String(66), ForeignKey("calls.call_id"), nullable=False, unique=True),
    Column("state", String(16), nullable=False, comment="queued, signed, posted, confirmed, finalised, rejected"),
    Column("action", Text, nullable=False),
    Column("sender", String(42)),
    Column("nonce", Integer),
    Column("raw", LargeBinary, comment="the signed transaction, stored before it is sent"),
    Column("transaction_hash", String(66)),
    Column("mined", Text),
    Column("failure", Text),
    Index("ix_postings_state", "state"),
)
