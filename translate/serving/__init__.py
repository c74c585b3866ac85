"""`translate serve`: a page to drop pictures on, and an HTTP API that does the same."""
