#!/usr/bin/env bash
# Tests other versions than the locked ones, in an environment that is made anew.
#
#     tools/test_versions.sh oldest 3.11    the lowest versions that pyproject.toml allows
#     tools/test_versions.sh newest 3.13    the newest ones that pip finds
#
# First the base install by itself, then with all that the extras add. PyTorch's CPU build is for Python 3.11 only:
# there the tests use it as locked, elsewhere only those run that need no PyTorch.
set -euo pipefail
versions=$1 number=$2
locked=${VENV:-.venv}/bin/python
environment=.venv-$versions-$number
lines=build/$versions-$number.txt
extras="train web openvino ncnn mnn litert supervision tensorboard"

if command -v pyenv >/dev/null; then # its shims run the versions that this variable names
    PYENV_VERSION=$(pyenv versions --bare | paste -sd: -)
    export PYENV_VERSION
fi
base=python$number
if [ -x "build/python$number/usr/bin/$base" ]; then # tools/debian_python.sh put it there
    base=build/python$number/usr/bin/$base
elif ! "$base" -c '' 2>/dev/null; then
    echo "no Python $number on this machine: the $versions versions are not tested on it"
    exit
fi

requirements() { "$locked" tools/requirements.py "$@"; }
install() {
    "$locked" -m pip --python "$environment" -qq --disable-pip-version-check install --no-compile "$@"
}
run_tests() { PYTHONDONTWRITEBYTECODE='' "$environment/bin/python" -m pytest -q "${options[@]}" "$@"; }

echo "== $versions versions, Python $number"
kind=given tools=given options=(-p no:cacheprovider)
if [ "$versions" = oldest ]; then
    kind=lowest tools=locked options+=(-W default) # nobody mends the warnings of an old release
fi
"$base" -m venv --clear --without-pip "$environment"

requirements $kind base build-system >"$lines"
requirements $tools pytest >>"$lines"
install -r "$lines"
install --no-deps --no-build-isolation -e .
run_tests --noconftest tests/opencv5

requirements $kind base $extras | grep -v '^torch[=>]' >"$lines"
requirements $tools test | grep -v -e '^torch-' -e '^pandas=' >>"$lines"
lists=(@tests/versions/without-pytorch.txt)
if [ "$number" = 3.11 ]; then
    requirements locked torch >>"$lines"
    requirements $kind pnnx >>"$lines" # needs PyTorch
    lists+=(@tests/versions/with-pytorch.txt)
fi
install -r "$lines"
"$locked" -m pip --python "$environment" check
run_tests -n auto --dist loadfile "${lists[@]}"
