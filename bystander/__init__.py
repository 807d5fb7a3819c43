"""Bystander, a passive recorder of telephone calls."""

__version__ = "0.1.0"
