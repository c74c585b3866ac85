"""From folders of image files to batches. Nothing in this package knows about networks or recipes."""

from translate.data import planes as planes  # which says what the kinds of domains are, whatever is imported first
