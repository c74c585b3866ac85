"""How good a trained model is, in numbers that come with their protocol."""
