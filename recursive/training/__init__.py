"""Training: the functions of a model, its epochs and batches, the data they take, and its files."""
