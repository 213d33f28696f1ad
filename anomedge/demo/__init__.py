"""The whole job on real pictures that a package carries: no network, no camera."""
