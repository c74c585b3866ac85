"""How good a trained model is, in numbers that say how they came about."""
