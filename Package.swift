// swift-tools-version:6.2
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

/// A library of this package: its tests sit beside its name in `Tests/`.
func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// A tool: arguments and its own logic, on top of `Stage`.
func tool(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name,
        dependencies: dependencies + ["Stage", .product(name: "ArgumentParser", package: "swift-argument-parser")],
        swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let tools = [
    "tg-listen", "tg-gate", "ratelimit", "ev-route", "ev-queue", "media-fetch", "blob-put", "tg-send", "tg-call",
    "tg-session",
]

let package = Package(
    name: "tgpipe",
    products: tools.map { .executable(name: $0, targets: [$0]) },
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        // C and C++ libraries of the system; one Swift module owns each.
        .target(
            name: "CSimdJSON", cxxSettings: [.unsafeFlags(["-O2"])],
            linkerSettings: [.linkedLibrary("simdjson")]),
        .target(name: "CToml", cxxSettings: [.unsafeFlags(["-O1"])]),
        .target(name: "CSchema", cxxSettings: [.unsafeFlags(["-O2"])]),
        .target(name: "CSpool", cSettings: [.unsafeFlags(["-O2"])]),
        .systemLibrary(name: "CLinux"),
        .target(name: "CChild"),
        .systemLibrary(name: "CCurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CSQLite", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CQRCode", providers: [.apt(["libqrencode-dev"])]),
        .target(name: "CAES", linkerSettings: [.linkedLibrary("crypto")]),

        library("Blocking", ["CLinux"]),
        library("Config", ["CToml", "Envelope"]),
        library("Digest", ["COpenSSL"]),
        library("Envelope", ["CSimdJSON"]),
        library("HTTP", ["CCurl", "Envelope"]),
        library("Schemas", ["CSchema", "Envelope"]),
        library("Spool", ["Blocking", "CLinux", "CSpool", "Envelope"]),
        .target(name: "TLSchemas", exclude: ["data"], cSettings: [.headerSearchPath("data")]),
        library("TL", ["Envelope", "TLSchemas"]),
        library("Redis", ["Blocking", "CHiredis", "Envelope"]),
        library("Queue", ["Envelope", "Redis"]),
        library(
            "Stage",
            [
                "Blocking", "CLinux", "Envelope", "Queue", "Redis",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        library(
            "Blob",
            [
                "Blocking", "CLinux", "Digest", "Envelope", "HTTP", "Stage",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        library(
            "Telegram",
            ["Envelope", "HTTP", "Stage", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
        library(
            "MTProto",
            [
                "CAES", "COpenSSL", "CZlib", "Digest", "Envelope", "TL",
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        library("Accounts", ["Blocking", "CSQLite", "Envelope", "MTProto"]),
        library(
            "Client",
            [
                "Accounts", "Blocking", "CLinux", "CSQLite", "Digest", "Envelope", "MTProto", "Redis", "Stage", "TL",
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        library("Updates", ["Client", "Envelope", "MTProto", "Stage"]),
        library(
            "TelegramAccount",
            [
                "Accounts", "Client", "Digest", "Envelope", "MTProto", "Stage", "TL", "Telegram", "Updates",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        library("Media", ["Blocking", "CChild", "CLinux", "COpenSSL", "Digest", "Envelope", "HTTP"]),

        library(
            "Limits",
            [
                "Digest", "Envelope", "Redis", "Stage",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        tool("tg-listen", ["Client", "Telegram", "Redis", "Updates"]),
        tool("tg-gate", ["Telegram", "Redis"]),
        tool("ratelimit", ["Limits", "Redis"]),
        tool("ev-route", ["Config", "Limits", "Queue", "Redis", "Schemas", "Spool"]),
        tool("ev-queue", ["Blocking", "CChild", "CLinux", "Queue", "Redis"]),
        tool("media-fetch", ["Media", "Blob", "Client", "Telegram", "TelegramAccount", "Redis"]),
        tool("blob-put", ["Blob", "Redis"]),
        tool("tg-send", ["Client", "Telegram", "TelegramAccount", "Blob", "Redis"]),
        tool("tg-session", ["Accounts", "Blocking", "Client", "CLinux", "CQRCode", "MTProto"]),
        tool("tg-call", ["Accounts", "Client", "MTProto", "TL"]),

        .target(
            name: "TestSupport", dependencies: ["Blocking", "Envelope", "HTTP"], path: "Tests/TestSupport",
            exclude: ["botocore_signatures.py", "s3-server.sh"], swiftSettings: strict),
        tests("EnvelopeTests", ["Envelope"]),
        // Fuzzes and measures the codec, for tests and benchmarks.
        .executableTarget(
            name: "tl-check", dependencies: ["TL", "Envelope"], path: "Tests/tl-check", swiftSettings: strict),
        // Measures transfers of files, for a benchmark.
        .executableTarget(
            name: "transfer-check",
            dependencies: [
                "Client", "Envelope", "Stage", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Tests/transfer-check", swiftSettings: strict),
        .testTarget(
            name: "TLTests", dependencies: ["TL", "Envelope", "TestSupport", "tl-check"],
            exclude: ["telethon_objects.py"],
            swiftSettings: strict),
        tests("StageTests", ["Stage"]),
        tests("HTTPTests", ["HTTP", "TestSupport"]),
        tests("QueueTests", ["Queue", "Redis", "TestSupport"]),
        tests("RedisTests", ["Redis", "TestSupport"]),
        tests("BlobTests", ["Blob", "Digest", "TestSupport"]),
        tests("TelegramTests", ["Telegram"]),
        tests("TelegramAccountTests", ["TelegramAccount", "Envelope", "Telegram"]),
        .testTarget(
            name: "AccountsTests", dependencies: ["Accounts", "Envelope", "MTProto", "TestSupport"],
            exclude: ["sessions_of_others.py"], swiftSettings: strict),
        tests(
            "ClientTests",
            [
                "Accounts", "Blocking", "Client", "Envelope", "MTProto", "Redis", "TL", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ]),
        tests("MTProtoTests", ["CAES", "Digest", "Envelope", "MTProto", "TL", "TestSupport"]),
        tests("UpdatesTests", ["Client", "Envelope", "Updates"]),
        tests("FetchTests", ["media-fetch", "Media", "TestSupport"]),
        tests("RouteTests", ["ev-route", "Envelope"]),
        tests("ConfigTests", ["Config", "TestSupport"]),
        tests("SchemaTests", ["Blocking", "Envelope", "Schemas"]),
        tests("SpoolTests", ["Spool", "Envelope", "TestSupport"]),
        tests("SendTests", ["tg-send", "Envelope"]),
        tests("MediaTests", ["Blocking", "Media", "TestSupport"]),
        tests("IntegrationTests", ["Blocking", "TestSupport", "Envelope"] + tools.map { .target(name: $0) }),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
