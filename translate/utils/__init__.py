"""Files, terminals, signals and memory: nothing in here knows an image or a network."""
