#!/bin/sh
# Runs a command beside Azure's emulator of blob storage, which has a container `app` with two blobs.
#
#   azurite.sh COMMAND…      the command finds SLUICE_AZURITE (endpoint) and SLUICE_AZURITE_KEY (of the account)
#
# Needs Node and npm. The emulator is installed into the cache, once.
set -eu
version=3.35.0
command -v npm >/dev/null || {
    echo "Azure's emulator needs Node and npm: https://nodejs.org" >&2
    exit 1
}
folder=${SLUICE_CACHE:-${HOME:?neither SLUICE_CACHE nor HOME is set}/.cache/sluice}/tools/azurite-$version
if [ ! -x "$folder/node_modules/.bin/azurite-blob" ]; then
    echo "installing azurite $version (once)" >&2
    mkdir -p "$folder"
    npm install --prefix "$folder" --no-audit --no-fund --silent "azurite@$version" @azure/storage-blob@12 >&2
fi
work=$(mktemp -d)
emulator=
trap 'test -z "$emulator" || kill "$emulator"; rm -rf "$work"' EXIT
"$folder/node_modules/.bin/azurite-blob" --disableTelemetry --skipApiVersionCheck --location "$work" --blobHost 127.0.0.1 \
    --blobPort 0 >"$work/log" 2>&1 &
emulator=$!
endpoint=
tries=0
while [ -z "$endpoint" ]; do
    endpoint=$(sed -n 's|.*listens on \(http://127.0.0.1:[0-9]*\).*|\1|p' "$work/log" | head -1)
    tries=$((tries + 1))
    if [ $tries -gt 300 ] || ! kill -0 "$emulator"; then
        cat "$work/log" >&2
        exit 1
    fi
    sleep 0.2
done
# The account and the key that every copy of the emulator has.
SLUICE_AZURITE=$endpoint/devstoreaccount1
SLUICE_AZURITE_KEY=$(sed -n 's/.*EMULATOR_ACCOUNT_KEY_STR *= *"\([^"]*\)".*/\1/p' \
    "$folder/node_modules/azurite/dist/src/blob/utils/constants.js" "$folder/node_modules/azurite/dist/src/common/utils/constants.js" | head -1)
export SLUICE_AZURITE SLUICE_AZURITE_KEY
NODE_PATH=$folder/node_modules node -e '
const { BlobServiceClient, StorageSharedKeyCredential } = require("@azure/storage-blob");
(async () => {
  const login = new StorageSharedKeyCredential("devstoreaccount1", process.env.SLUICE_AZURITE_KEY);
  const container = new BlobServiceClient(process.env.SLUICE_AZURITE, login).getContainerClient("app");
  await container.create();
  for (const [name, text] of [["a.yaml", "a: 1\n"], ["folder/b c.yaml", "b: 2\n"]]) {
    await container.getBlockBlobClient(name).upload(text, text.length);
  }
})().catch((error) => { console.error(error); process.exit(1); });'
"$@"
