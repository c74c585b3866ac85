"""Folder to folder: the second main job of the toolkit."""
