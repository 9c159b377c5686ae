"""A simulated VPN node: Harbor's own agent on a tunnel in memory, with customers who use it."""
