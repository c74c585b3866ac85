"""Image files: read, written, and mapped to [-1, 1] and back."""
