"""What was read of SRC: its files, and the label, split and group of each."""
