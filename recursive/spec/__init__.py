"""The declaration and everything that follows from it, as pure data without tensors."""
