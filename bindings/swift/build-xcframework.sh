#!/usr/bin/env bash
# Builds KeybuttonFFI.xcframework for iOS, its simulator and macOS. Needs a Mac with Xcode and rustup's Apple targets:
#   rustup target add aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin x86_64-apple-darwin
#
# Usage: build-xcframework.sh [--release URL]
#
# KEYBUTTON_FEATURES=air adds the simulated air, for testing an app in the simulator without a lock; not for the store.
#
# Without arguments the package in this folder uses the xcframework from here. With --release it is zipped too, and the
# release's Package.swift names the zip by URL and checksum. Swift Package Manager reads Package.swift at the tag, so
# the order is: build, commit the Package.swift with the checksum printed here, tag that commit, upload this very zip
# under the URL. A zip built again has another checksum, for time stamps go into it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
out=$target/swift/xcframework
library=libkeybutton_ffi.a
features=(--no-default-features --features "${KEYBUTTON_FEATURES:-}")
module=KeybuttonFFI

for tool in cargo lipo xcodebuild xcrun swift zip; do
  command -v "$tool" >/dev/null || { echo "$tool is needed: run this on a Mac with Xcode and Rust" >&2; exit 1; }
done

# The deployment targets of Package.swift.
export IPHONEOS_DEPLOYMENT_TARGET=17.0 MACOSX_DEPLOYMENT_TARGET=14.0

# What ships: URLSession carries the requests, and there is no simulated air.
build() { # triple
  (cd "$root" && cargo build --locked --profile mobile --package keybutton-ffi "${features[@]}" --target "$1")
  printf '%s\n' "$target/$1/mobile/$library"
}

# Bindings come from a build that is not stripped; stripped ones have no metadata.
(cd "$root" && cargo build --locked --package keybutton-ffi "${features[@]}")
rm -rf "$out"
mkdir -p "$out/generated"
(cd "$root" && cargo run --locked --package keybutton-bindgen -- generate swift --config uniffi.toml \
  --out "$out/generated" "$target/debug/$library")
mkdir -p "$here/Sources/KeybuttonCore"
cp "$out/generated/KeybuttonCore.swift" "$here/Sources/KeybuttonCore/"

# Two xcframeworks with a module map at the same place can't be used in one app: it goes into a folder of the module's
# own name.
headers=$out/headers
mkdir -p "$headers/$module"
cp "$out/generated/$module.h" "$headers/$module/"
cat >"$headers/$module/module.modulemap" <<MAP
module $module {
    header "$module.h"
    export *
}
MAP

fat() { # name triple...
  local name=$1 triple built=()
  shift
  mkdir -p "$out/$name"
  for triple in "$@"; do built+=("$(build "$triple" | tail -n 1)"); done
  lipo -create "${built[@]}" -output "$out/$name/$library"
}
fat ios aarch64-apple-ios
fat ios-simulator aarch64-apple-ios-sim x86_64-apple-ios
fat macos aarch64-apple-darwin x86_64-apple-darwin

rm -rf "$here/$module.xcframework"
xcodebuild -create-xcframework \
  -library "$out/ios/$library" -headers "$headers" \
  -library "$out/ios-simulator/$library" -headers "$headers" \
  -library "$out/macos/$library" -headers "$headers" \
  -output "$here/$module.xcframework"
echo "built $here/$module.xcframework"

if [ "${1:-}" = --release ]; then
  url=${2:?the URL under which the zip will be found}
  (cd "$here" && zip -q -r -X "$out/$module.xcframework.zip" "$module.xcframework")
  checksum=$(swift package compute-checksum "$out/$module.xcframework.zip")
  release=$out/release
  mkdir -p "$release"
  # A release has what an app needs: no tests, no bench, the library by URL.
  cp -R "$here/Sources" "$release/"
  rm -rf "$release/Sources/KeybuttonFFI"
  cat >"$release/Package.swift" <<MANIFEST
// swift-tools-version: 6.0
import PackageDescription

let package = Package(
    name: "Keybutton",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "Keybutton", targets: ["Keybutton"])],
    targets: [
        .binaryTarget(name: "$module", url: "$url", checksum: "$checksum"),
        .target(name: "KeybuttonCore", dependencies: ["$module"], swiftSettings: [.swiftLanguageMode(.v5)]),
        .target(name: "Keybutton", dependencies: ["KeybuttonCore"]),
    ]
)
MANIFEST
  echo "upload $out/$module.xcframework.zip as $url"
  echo "commit and tag $release; checksum $checksum"
fi
