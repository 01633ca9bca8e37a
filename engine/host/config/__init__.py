"""The configuration: read, checked as a whole, cached, edited. Importing this package costs nothing heavy."""
