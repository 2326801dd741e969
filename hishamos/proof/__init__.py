"""The promises put to the proof: a provider with its own book, processes that are killed, and what the ledger says afterwards."""
