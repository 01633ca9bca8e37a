"""Everything that touches SQLite. SQL stands in sql/*.sql and nowhere else."""
