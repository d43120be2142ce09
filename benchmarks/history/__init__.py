"""`sdtps bench record` and `sdtps bench history`: times over months, and where they changed."""
