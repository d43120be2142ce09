"""The model as its users call it: everything in it is trained, and by gradients of a bearable size."""
