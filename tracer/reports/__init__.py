"""Reports: documents made of blocks (`pages/`), and the formats that print them (`formats/`)."""
