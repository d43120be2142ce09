"""`sdtps bench`: tables, pages and plots of how fast implementations run."""
