"""The pure core: canonical JSON, commitments, prices, calls, receipts. No input or output happens in here."""
