"""What every command of `sdtps` is made of: options and their types, one table, one place for errors."""
