"""Stand-ins for SmartLead, Stripe, mail and a VPN node, for development and the tests.

Production never imports it.
"""
