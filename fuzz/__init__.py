"""Fuzzing of everything that reads what others wrote: the wire and files (``make fuzz``)."""
