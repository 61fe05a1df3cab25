"""What the commands print: each page is made of blocks, whatever the format."""
