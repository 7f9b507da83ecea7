"""Faults that users of similar libraries reported, replayed here with their siblings."""
