"""Conformance of a foreign client with the contract of a bundle: find the stage at which it departs."""

from anomedge.conformance.client import Answer, Client, ClientCommand
from anomedge.conformance.examine import Conformance, examine
from anomedge.conformance.finding import STAGES, Finding

__all__ = [
    "STAGES",
    "Answer",
    "Client",
    "ClientCommand",
    "Conformance",
    "Finding",
    "examine",
]
