"""How the code behaves as a part of a program: what it does to its inputs, what it remembers, what it draws."""
