"""Tests of anomedge; this file is imported before the first test module, and before torch."""

import os

# OpenMP reads it while torch is imported. Threads of two workers on two cores would spin while they wait for each other.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
