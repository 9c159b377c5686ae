"""The agent that runs on a VPN node: pulls desired state, drives WireGuard, reports what is.

It imports the standard library and httpx, nothing of Django and nothing of the rest of Harbor, so
that a node is installed without them: `python -m vpn.agent --help`.
"""
