"""Sound: files of samples, read as spectrograms that networks take, and brought back from them."""
