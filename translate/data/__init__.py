"""From folders of image files to batches: the layers below know nothing of networks or recipes."""
