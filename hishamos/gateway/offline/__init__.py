"""The offline model ``offline/extractive``: it selects and classifies what stands in the prompt."""

from hishamos.gateway.offline.extraction import Extraction, extract
from hishamos.gateway.offline.framed import spoken

__all__ = ["Extraction", "extract", "spoken"]
