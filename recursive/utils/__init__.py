"""Small helpers, in the rooms where Keras 0.1 had them."""
