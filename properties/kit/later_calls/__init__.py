"""What may come between two calls, and what a call answers.

Torch only and self-contained, like `values`: a failure's script carries these functions' own source text.
"""
