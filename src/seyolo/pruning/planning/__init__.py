"""Plans: budgets, costs, allocation."""
