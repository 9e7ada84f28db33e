"""Formats of instruction data: one module each, with what makes a record of an entry and an entry of a record."""
