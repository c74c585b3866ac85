"""What is done with a run: train, load, evaluate, compare, export. Recipe, data, model and trainer meet here."""
