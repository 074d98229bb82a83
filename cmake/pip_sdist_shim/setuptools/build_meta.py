"""The same for sdists whose backend wraps that of setuptools."""

from scikit_build_core.build import build_wheel, get_requires_for_build_wheel, prepare_metadata_for_build_wheel

get_requires_for_build_sdist = get_requires_for_build_editable = get_requires_for_build_wheel
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
build_sdist = build_editable = build_wheel

__all__ = [
  "build_editable",
  "build_sdist",
  "build_wheel",
  "get_requires_for_build_editable",
  "get_requires_for_build_sdist",
  "get_requires_for_build_wheel",
  "prepare_metadata_for_build_editable",
  "prepare_metadata_for_build_wheel",
]
