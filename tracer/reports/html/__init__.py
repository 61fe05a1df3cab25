"""Pages for browsers: one file that needs no network, for the format `html`.

Python writes what is small and has to be read without JavaScript (`templates/`). The tests are data, packed by gzip,
from which the scripts of the page (`assets/`) make lists, the matrix and the view of a test.
"""
