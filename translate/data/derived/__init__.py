"""Inputs that are made from their targets, so that a folder of photos is all that restoration needs."""
