"""The gate, the ledger, the record of runs, and promotion."""
