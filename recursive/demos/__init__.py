"""Small real tasks, from data to plots: ``recursive demo``."""
