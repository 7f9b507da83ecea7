"""Small helpers, several of them at the import paths of Keras 0.1."""
