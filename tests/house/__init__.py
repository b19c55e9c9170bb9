"""How the code is laid out, read from the tree: which file imports which, rooms, sizes."""
