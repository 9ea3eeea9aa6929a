#!/bin/sh
# Run Brownie with a home of this checkout's own, so that it neither reads nor writes anything in the user's.
# TALLYSTICK_RPC_URL names the chain that `--network tallystick` means; TALLYSTICK_TEST_PORT the port on which
# `--network tallystick-test` starts its own Ganache.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
export HOME="${TALLYSTICK_BROWNIE_HOME:-$root/build/brownie-home}"
export SOLCX_BINARY_PATH="$root/build/solcx"
export PATH="$root/build/bin:$root/node_modules/.bin:$PATH"
export TALLYSTICK_RPC_URL="${TALLYSTICK_RPC_URL:-http://127.0.0.1:8545}"
port="${TALLYSTICK_TEST_PORT:-8546}"
mkdir -p "$HOME/.brownie"
sed "s/@TEST_PORT@/$port/" "$root/scripts/brownie-networks.yaml" > "$HOME/.brownie/network-config.yaml"
cd "$root"
exec "$root/.venv-contracts/bin/brownie" "$@"
