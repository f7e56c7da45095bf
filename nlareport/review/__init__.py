"""What judges finished runs: diff, check, golden scores and the agreement of pairs with their record."""
