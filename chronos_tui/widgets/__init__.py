"""What panels are built of, one widget a file."""
