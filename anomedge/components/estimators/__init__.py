"""Estimators: densities, neighbours, subspaces, projections, coresets."""
