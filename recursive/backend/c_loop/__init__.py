"""The loop as one C function."""
