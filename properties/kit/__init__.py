"""What a law is written with: the law itself, the probe, cases, domains, expectations, the script of a failure."""
