"""Models of every kind behind one interface: questions about media in, answers out."""
