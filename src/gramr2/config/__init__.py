"""The run file: models of its sections, and reading it. No torch in here."""

from gramr2.config.load import dump_config, load_config, parse_config
from gramr2.config.run import RunConfig

__all__ = ["RunConfig", "dump_config", "load_config", "parse_config"]
