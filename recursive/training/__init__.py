"""Training: programs, epochs and batches, the data they take, and model files."""
