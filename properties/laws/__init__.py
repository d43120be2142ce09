"""The laws of SDTPS, a file a stage. Every `Law` in a module of this package is found by `law.all_laws`."""
