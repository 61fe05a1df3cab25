"""The waist: the words of the design as types, and the file that carries them from record to classify."""
