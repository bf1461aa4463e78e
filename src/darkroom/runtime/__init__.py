"""Who moves jobs forward."""
