"""One file a format; a classification in, text out."""
