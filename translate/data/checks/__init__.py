"""What a folder holds and what is wrong with it, known before the first step."""
