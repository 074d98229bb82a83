# Sourced by tools/quickstart, tools/run_tests and tools/lint: gets this machine ready to build.
#
# In: a Debian (12 or newer) or Ubuntu (22.04, 24.04) machine; on others the packages must be there already.
# Out: the functions below, and after `prepare_machine` the variables CMAKE, CTEST, PYTHON, JOBS and (exported) CXX.
# What is there already is not installed again, so a second run needs no network.
#
# MTS_SKIP_PACKAGES=1 never calls apt-get. MTS_DEPS_CACHE says where things that come from PyPI are kept
# (default ~/.cache/mts-deps; the same place that cmake/DepsCache.cmake uses).

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deps_cache=${MTS_DEPS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mts-deps}
if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'; else bold='' dim='' red='' plain=''; fi

say() { printf '%s==>%s %s\n' "$bold" "$plain" "$*"; }
die() {
  printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2
  exit 1
}

# Runs a command quietly; shows what it said only when it fails.
quietly() {
  local log
  log=$(mktemp)
  if ! "$@" </dev/null >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

has() { command -v "$1" >/dev/null 2>&1; }
# version_ge A B: is version A at least B?
version_ge() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# --- apt -------------------------------------------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif [ -t 0 ]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

package_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install_packages PACKAGE...: installs those that are missing.
install_packages() {
  local missing=() package
  if [ "${MTS_SKIP_PACKAGES:-0}" = 1 ]; then return; fi
  if ! has apt-get; then
    say "no apt-get here: taking it that these are installed in some other way: $*"
    return
  fi
  for package in "$@"; do
    package_installed "$package" || missing+=("$package")
  done
  if [ ${#missing[@]} = 0 ]; then return; fi
  local by_hand="apt-get install ${missing[*]}"
  if [ "$(id -u)" != 0 ] && ! has sudo; then
    die "some packages are missing and there is no sudo; as root, run: $by_hand"
  fi
  say "installing with apt-get: ${missing[*]}"
  quietly as_root apt-get update ||
    die "apt-get update failed (no network, or no right to use sudo?); the missing packages are: ${missing[*]}"
  quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" ||
    die "installing failed; try by hand: $by_hand"
}

# Like install_packages for one that not every distribution has.
install_package_if_offered() {
  if [ "${MTS_SKIP_PACKAGES:-0}" = 1 ] || ! has apt-get || package_installed "$1"; then return; fi
  if apt-cache show "$1" >/dev/null 2>&1; then install_packages "$1"; fi
}

# --- compiler, CMake, Python -----------------------------------------------------------------------------------------

# Is $1 a g++ >= 12 or a clang++ >= 14?
compiler_suffices() {
  has "$1" || return 1
  local macros major
  macros=$(echo | "$1" -x c++ -dM -E - 2>/dev/null) || return 1
  major=$(sed -n 's/^#define __clang_major__ //p' <<<"$macros")
  if [ -n "$major" ]; then [ "$major" -ge 14 ]; return; fi
  major=$(sed -n 's/^#define __GNUC__ //p' <<<"$macros")
  [ -n "$major" ] && [ "$major" -ge 12 ]
}

# clang's OpenMP is a package of its own; g++ brings its own.
openmp_package() {
  local major
  major=$(echo | "${CXX:-c++}" -x c++ -dM -E - 2>/dev/null | sed -n 's/^#define __clang_major__ //p') || true
  if [ -n "$major" ]; then echo "libomp-$major-dev"; fi
}

find_compiler() {
  local candidate
  for candidate in g++ g++-15 g++-14 g++-13 g++-12 clang++ clang++-18 clang++-17 clang++-16 clang++-15 clang++-14; do
    if compiler_suffices "$candidate"; then
      export CXX=$candidate
      return 0
    fi
  done
  return 1
}

# The package that brings such a compiler: Ubuntu 22.04's g++ is version 11, and it has 12 beside it.
compiler_package() {
  if has g++ || grep -qs '^VERSION_ID="22.04"' /etc/os-release; then echo g++-12; else echo g++; fi
}

# The system's CMake if it is new enough for the presets (3.25), else one from PyPI in the cache.
prepare_cmake() {
  local version=4.1.3 prefix
  if has cmake && version_ge "$(cmake --version | sed -n '1s/[^0-9]*//p')" 3.25; then
    CMAKE=cmake CTEST=ctest
    return
  fi
  prefix=$deps_cache/cmake-$version
  if [ ! -e "$prefix/.done" ]; then
    say "installing CMake $version from PyPI (the build needs 3.25)"
    mkdir -p "$prefix"
    echo "cmake==$version --hash=sha256:81f11b72bc59cbe547d9f283487ef0519bf68176edffcdfa1a4dc5a52f292369" \
      >"$prefix/requirements.txt"
    quietly "$PYTHON" -m pip install -q --disable-pip-version-check --no-deps --require-hashes --only-binary cmake \
      --upgrade --target "$prefix" -r "$prefix/requirements.txt" || die "pip could not install CMake $version from PyPI"
    touch "$prefix/.done"
  fi
  CMAKE=$prefix/cmake/data/bin/cmake CTEST=$prefix/cmake/data/bin/ctest
}

# venv_python REQUIREMENTS: prints the Python of a virtual environment that has them. It is kept in the cache until
# the file or the system's Python changes.
venv_python() {
  local key venv
  key=$({ cat "$1" && "$PYTHON" -VV && command -v "$PYTHON"; } | sha256sum | cut -c 1-12)
  venv=$deps_cache/venv-$key
  if [ ! -e "$venv/.done" ]; then
    say "making a Python environment from ${1#"$root"/}" >&2
    rm -rf "$venv"
    mkdir -p "$deps_cache"
    quietly "$PYTHON" -m venv "$venv" || die "python3 -m venv failed; is python3-venv installed?"
    quietly "$venv/bin/python" -m pip install -q --disable-pip-version-check -r "$1" || die "pip could not install $1"
    touch "$venv/.done"
  fi
  echo "$venv/bin/python"
}

# prepare_machine [PACKAGE...]: everything that a build needs, and those of the packages named that are on offer.
prepare_machine() {
  [ "$(uname -m)" = x86_64 ] || die "mts is built on x86-64 machines only so far; this is $(uname -m)"
  if [ -n "${CXX:-}" ]; then
    compiler_suffices "$CXX" || die "CXX=$CXX is no g++ >= 12 and no clang++ >= 14"
    export CXX
  fi
  local packages=(
    ca-certificates python3 python3-pip python3-venv
    libcli11-dev libexpected-dev libfmt-dev libgmock-dev libgtest-dev libprotobuf-dev libspdlog-dev libssl-dev
    libxxhash-dev nlohmann-json3-dev protobuf-compiler)
  has cmake || packages+=(cmake)
  has ninja || packages+=(ninja-build)
  [ -n "${CXX:-}" ] || find_compiler || packages+=("$(compiler_package)")
  local openmp
  openmp=$(openmp_package)
  install_packages "${packages[@]}" ${openmp:+"$openmp"}
  [ -n "${CXX:-}" ] || find_compiler || die "there is no g++ >= 12 and no clang++ >= 14"
  PYTHON=$(command -v python3) || die "there is no python3"
  JOBS=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
  prepare_cmake
  local package
  for package in "$@"; do install_package_if_offered "$package"; done
}

# build PRESET [TARGET...]: configures and builds. Build directories that another CMake or compiler made stay usable.
build() {
  local preset=$1
  shift
  say "configuring (${CXX}, $("$CMAKE" --version | head -n 1), preset $preset)"
  (cd "$root" && "$CMAKE" --preset "$preset" "-DMTS_DEPS_CACHE=$deps_cache" "${configure_flags[@]}" </dev/null) ||
    die "CMake could not configure; its messages above say why"
  say "building"
  (cd "$root" && "$CMAKE" --build --preset "$preset" -j "$JOBS" ${1:+--target "$@"} </dev/null) ||
    die "the build failed; the first error above says why"
}
configure_flags=()
