"""A build backend that only lets `pip download` accept an sdist.

pip asks a backend for the metadata of every sdist that it downloads. The real backend would pull in its own
build dependencies for that; this one answers from the environment and refuses to build.
"""

import os


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    name = os.environ["MTS_SDIST_NAME"]
    version = os.environ["MTS_SDIST_VERSION"]
    folder = f"{name}-{version}.dist-info"
    path = os.path.join(metadata_directory, folder)
    os.makedirs(path)
    with open(os.path.join(path, "METADATA"), "w") as metadata:
        metadata.write(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    with open(os.path.join(path, "WHEEL"), "w") as wheel:
        wheel.write("Wheel-Version: 1.0\n")
    return folder


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    raise RuntimeError("this backend only serves `pip download`")
