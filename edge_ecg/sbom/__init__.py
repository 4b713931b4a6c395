"""What the runtime is made of: the packages that it needs, what is built into them, and their licences."""

from .components import Component, walk
from .inventory import Inventory, take_inventory
from .policy import Verdict, judge

__all__ = ["Component", "Inventory", "Verdict", "judge", "take_inventory", "walk"]
