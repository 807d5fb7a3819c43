"""Who may listen, why, and what is written down. Built on the vault."""
