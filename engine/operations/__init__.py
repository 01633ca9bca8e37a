"""What an operator or the dispatcher can ask for: one use case is one transaction with its audit entry."""
