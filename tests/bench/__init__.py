"""Benches: our figures beside a peer's or a limit's of the same run. See __main__.py."""
