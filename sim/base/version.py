"""The version: results belong to it, since another one may draw other numbers."""

__version__ = "0.1.0"
