"""What `make check` runs: everything that judges the code without running the product."""
