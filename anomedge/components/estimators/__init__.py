"""Statistical estimators: densities, nearest neighbours, subspaces, projections and subset selection."""
