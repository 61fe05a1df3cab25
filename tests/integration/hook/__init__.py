"""The hook in real pytests: the oldest supported and the newest, each in an environment of its own.

These tests check what the hook writes to the FIFO, and what no classification shows. What a classification shows is
checked by the truth suite, in scenarios with `oldest = true` on the oldest pytest too.
"""
