"""`translate augment` and `downstream`: more training pictures with labels kept, and whether they help."""
