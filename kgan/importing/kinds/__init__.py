"""One file for each kind of checkpoint, with its TITLE and `open_files(files, wishes)`, None where they are no such."""
