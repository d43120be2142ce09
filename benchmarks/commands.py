"""The commands of this room, each in a file of its own."""

from sdtps_ref.benchmarks.benching import bench

__all__ = ["bench"]
