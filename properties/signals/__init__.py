"""What the outputs and gradients of an implementation tell about it: noise, temperature, gain, wiring."""
