"""A scan with a reverse pass of its own. It knows steps and tensors, and nothing of specs or layers."""
