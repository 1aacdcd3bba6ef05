"""The project: its settings, its addresses and its servers' entrances."""
