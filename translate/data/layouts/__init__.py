"""Which files below a folder belong to which domain, split and pair."""
