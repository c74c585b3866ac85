"""Images of any size through any network of ours, in bounded memory, as if it had seen them whole."""
