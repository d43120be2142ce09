"""What is compared, and the processes in which it is measured."""
