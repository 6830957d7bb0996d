"""Pictures as arrays and files: reading and writing, large ones in tiles, faces, films, and the embedded emoji."""
