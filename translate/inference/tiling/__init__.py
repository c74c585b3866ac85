"""Runs any network of ours on images of any size in bounded memory, with the result of the whole image."""
