"""Demo data for `make run`: three brands as life would have left them, made through the services.

Never imported by the product. `python -m sandbox.demo --brands 3 --leads 20000 --logins FILE`.
"""
