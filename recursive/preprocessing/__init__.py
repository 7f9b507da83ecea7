"""Data made ready for training, where Keras 0.1 had it."""
