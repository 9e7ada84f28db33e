"""A small stand-in for the Hugging Face Hub: what the real clients publish to and load from in tests."""

from tests.hub.faults import Fault
from tests.hub.server import HubServer, serve_hub

__all__ = ["Fault", "HubServer", "serve_hub"]
