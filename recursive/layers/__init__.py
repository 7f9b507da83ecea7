"""Layers, in the modules of Keras 0.1.3: core, embeddings, recurrent, containers."""
