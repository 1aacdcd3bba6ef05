"""A small shop that keeps its visitors' carts in sessions: ``python -m shop`` starts it."""
