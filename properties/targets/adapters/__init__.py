"""Adapters for the published call signatures, so that nobody writes one by hand for them."""

from sdtps_ref.properties.targets.adapters.adapted import Adapted, adapt
from sdtps_ref.properties.targets.adapters.written import written

__all__ = ["Adapted", "adapt", "written"]
