"""Counts, intervals and random streams; nothing here knows of consensus."""
