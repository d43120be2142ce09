"""Adapters for the published call signatures, so that nobody writes one by hand for them."""

from sdtps_ref.properties.adapters.adapted import Adapted, adapt

__all__ = ["Adapted", "adapt"]
