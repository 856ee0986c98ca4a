// swift-tools-version: 6.0
import PackageDescription

// On Linux the library is the one that cargo has built; the linker is told where by `cargo xtask swift`.
// On Apple's systems it is the xcframework that build-xcframework.sh makes.
#if os(Linux)
let library = Target.systemLibrary(name: "KeybuttonFFI")
#else
let library = Target.binaryTarget(name: "KeybuttonFFI", path: "KeybuttonFFI.xcframework")
#endif

// The project's own builds take a warning for an error. An app's build must not, for its compiler may be newer.
let strict: [SwiftSetting] =
    Context.environment["KEYBUTTON_STRICT"] == nil ? [] : [.unsafeFlags(["-warnings-as-errors"])]

let package = Package(
    name: "Keybutton",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [.library(name: "Keybutton", targets: ["Keybutton"])],
    targets: [
        library,
        // What UniFFI generates, which is not ready for Swift 6's language mode.
        .target(name: "KeybuttonCore", dependencies: ["KeybuttonFFI"], swiftSettings: [.swiftLanguageMode(.v5)]),
        .target(name: "Keybutton", dependencies: ["KeybuttonCore"], swiftSettings: strict),
        .target(
            name: "KeybuttonStage", dependencies: ["Keybutton"], path: "Tests/KeybuttonStage", swiftSettings: strict),
        .testTarget(name: "KeybuttonTests", dependencies: ["Keybutton", "KeybuttonStage"], swiftSettings: strict),
        .executableTarget(
            name: "keybutton-bench", dependencies: ["Keybutton", "KeybuttonStage"], path: "Tests/Bench",
            swiftSettings: strict),
    ]
)
