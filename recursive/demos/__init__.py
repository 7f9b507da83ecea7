"""Small real tasks, from data to pictures: ``recursive demo``."""
