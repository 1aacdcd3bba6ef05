"""The configuration of an application's sessions, wherever it comes from, and the factory that it makes."""

from sessionbag.config.managers import ManagerFactory
from sessionbag.config.schema import FactoryOptions, option_rows, option_table

__all__ = ["FactoryOptions", "ManagerFactory", "option_rows", "option_table"]
