"""Ways to put a backup off the box and to read it back. Deletes nothing there, and knows no ledger."""
