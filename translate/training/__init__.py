"""A training from first step to last: the trainer, how its steps run, and the state between two of them."""
