"""A training from first step to last: the trainer, how its steps run, and what is kept between them."""
