"""Does the one-off acts that front ends ask the owner for, one at a time, on a thread of its own."""
