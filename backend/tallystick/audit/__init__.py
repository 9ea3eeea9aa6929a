"""The auditor: replays a marketplace's history with books of its own and trusts nobody. Knows `protocol` and `chain` only."""
