"""Thin faces for other libraries, one file each; each needs the extra of its name."""
