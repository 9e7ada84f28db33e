"""Looking at data before anything is trained on it: media, lengths, labels, leakage, and the report."""
