"""The laws of SDTPS: a file a stage, or a folder where a stage fills several. `kit.law.all_laws` finds them."""
