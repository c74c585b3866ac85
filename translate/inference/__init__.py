"""Converts folders of images with a trained model: the toolkit's second main job."""
