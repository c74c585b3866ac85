"""Clips, video files and folders of numbered frames, as samples of some frames and the one that follows them."""
