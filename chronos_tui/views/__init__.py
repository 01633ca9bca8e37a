"""What screens show, as frozen records made by pure functions. Imports no Textual, asks no engine and no clock."""
