"""From folders of image files to batches. Nothing in this package knows about networks or recipes."""
