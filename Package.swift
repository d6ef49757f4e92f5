// swift-tools-version:6.2
import PackageDescription

// The folders of Sources are drawn in docs/architecture.md, which `make check` holds against this file.

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// Makes the program start faster: lld packs the 60,000 places that a position-independent program must relocate at
/// each start into a hundredth of their size, and 15,000 symbols that no library looks up are not exported.
let quickStart = [
    "-use-ld=lld", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
    // All symbols of shared libraries are bound at the start, so that the table of their addresses is read-only.
    "-Xlinker", "-z", "-Xlinker", "now",
    "-Xlinker", "--version-script=\(Context.packageDirectory)/Sources/tgpipe/exports.map",
]

/// The commit that a release is built from, for `--version`. A changed checkout is no commit.
let commit: [CSetting] =
    (Context.gitInformation.flatMap { $0.hasUncommittedChanges ? nil : $0.currentCommit }).map {
        [.define("TGP_COMMIT", to: "\"\($0.prefix(9))\"", .when(configuration: .release))]
    } ?? []

let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")

/// The last folder of a path below `Sources`, which is the module's name.
func moduleName(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

/// A library in Swift: `Services/Redis` is the module Redis in Sources/Services/Redis.
func library(_ path: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: moduleName(path), dependencies: dependencies, path: "Sources/\(path)", swiftSettings: strict)
}

/// A C or C++ library of this package, in Sources/C.
func cLibrary(
    _ name: String, _ dependencies: [Target.Dependency] = [], c: [CSetting] = [], cxx: [CXXSetting] = [],
    linker: [LinkerSetting] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Sources/C/\(name)", cSettings: c, cxxSettings: cxx,
        linkerSettings: linker)
}

/// The headers of a library that the system has.
func systemLibrary(_ name: String, package: String) -> Target {
    .systemLibrary(name: name, path: "Sources/C/\(name)", providers: [.apt([package])])
}

/// A tool: its arguments and its own logic. All of them are linked into one program, `tgpipe`.
func tool(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(
        name: name, dependencies: dependencies + ["Options", "Stage", arguments], swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

let tools: [Target] = [
    tool(
        "tg-listen",
        [
            "Accounts", "BotAPI", "Envelope", "JSON", "Payloads", "Queue", "Redis", "System", "Tracing", "Updates",
            logging,
        ]),
    tool(
        "tg-gate",
        [
            "Accounts", "BotAPI", "ChatCommands", "Envelope", "JSON", "MTProto", "Payloads", "Redis", "System", "TL",
            "Texts", "Tracing", logging,
        ]),
    tool(
        "tg-talk",
        [
            "BotAPI", "ChatCommands", "Crypto", "Envelope", "JSON", "Payloads", "Redis", "System", "Texts", "Tracing",
            "Turns", logging,
        ]),
    tool(
        "media-ask",
        [
            "AccountAPI", "BotAPI", "ChatCommands", "Crypto", "Envelope", "HTTP", "JSON", "Media", "Payloads", "Redis",
            "System", "Texts", logging,
        ]),
    tool(
        "media-expand",
        ["Crypto", "Envelope", "Media", "Payloads", "Redis", "System", logging]),
    tool(
        "media-split",
        [
            "AccountAPI", "Blob", "BotAPI", "Crypto", "Envelope", "HTTP", "JSON", "Media", "Payloads", "System",
            logging,
        ]),
    tool("tg-watch", ["AccountAPI", "BotAPI", "Envelope", "JSON", "Payloads", "Redis", "System", logging]),
    tool("media-turns", ["Envelope", "Payloads", "Redis", "System", "Turns", logging]),
    tool("ratelimit", ["Envelope", "RateLimits", "Redis", "System", "Texts"]),
    tool("ev-route", ["JSON", "Routing", "Spool", "System", logging]),
    tool(
        "ev-log",
        [
            "Envelope", "JSON", "LogStore", "OTLP", "Process", "Queue", "Redis", "System", logging, nioCore, nioHTTP1,
            nioPosix,
        ]),
    tool("ev-replay", ["Crypto", "Envelope", "JSON", "Payloads", "System", "Tracing", logging]),
    tool("ev-queue", ["Envelope", "JSON", "Payloads", "Process", "Queue", "Redis", "System", "Tracing", logging]),
    tool(
        "media-fetch",
        [
            "AccountAPI", "Accounts", "Blob", "BotAPI", "ChatCommands", "Crypto", "Envelope", "HTTP", "JSON", "Media",
            "Payloads", "Redis", "System", "TL", "Texts", "Turns", logging,
        ]),
    tool(
        "tgpipe-doctor",
        [
            "AccountAPI", "Blob", "BotAPI", "HTTP", "JSON", "Media", "Process", "Queue", "Redis", "System",
        ]),
    tool("tgpipe-update-yt-dlp", ["Media", "Process", "System", logging]),
    tool("blob-put", ["Blob", "Crypto", "Envelope", "JSON", "Payloads", "System", logging]),
    tool(
        "tg-send",
        [
            "AccountAPI", "Accounts", "Blob", "BotAPI", "ChatCommands", "Envelope", "HTTP", "JSON", "Media", "Payloads",
            "Queue", "Redis", "System", "Texts", "Tracing", logging,
        ]),
    tool("tg-history", ["Accounts", "Envelope", "History", "JSON", "Payloads", "System", logging]),
    tool("tg-session", ["Accounts", "CQRCode", "JSON", "MTProto", "System", logging]),
    tool("msg-store", ["Archive", "Envelope", "JSON", "Payloads", "Process", "Queue", "System", logging]),
    tool("tg-call", ["Accounts", "JSON", "MTProto", "System", "TL", "Updates", logging]),
]

let package = Package(
    name: "tgpipe",
    products: [.executable(name: "tgpipe", targets: ["tgpipe"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: tools + [
        .executableTarget(
            name: "tgpipe",
            dependencies: tools.map { .target(name: $0.name) } + ["Options", "System", arguments],
            exclude: ["exports.map"],
            swiftSettings: strict,
            linkerSettings: [.unsafeFlags(quickStart, .when(configuration: .release))]),

        cLibrary("CAES", ["COpenSSL"]),
        cLibrary("CChild"),
        cLibrary("CLoader"),
        cLibrary("CCurl", ["CLoader"]),
        cLibrary("CHiredis", ["CLoader"]),
        cLibrary("COpenSSL", ["CLoader"]),
        cLibrary("CSSL", ["CLoader", "COpenSSL"]),
        cLibrary("CPostgres", ["CLoader"]),
        cLibrary("CQRCode", ["CLoader"]),
        cLibrary("CSQLite", ["CLoader"]),
        // scripts/packages.sh unpacks headers there that need no installed package.
        cLibrary("CSchema", cxx: [.unsafeFlags(["-O2"]), .headerSearchPath("../../../.deps/usr/include")]),
        cLibrary("CSimdJSON", cxx: [.unsafeFlags(["-O2"])], linker: [.linkedLibrary("simdjson")]),
        cLibrary("CStart", c: commit),
        cLibrary("CSpool", c: [.unsafeFlags(["-O2"])]),
        cLibrary("CToml", cxx: [.unsafeFlags(["-O1"])]),
        cLibrary("CZlib", ["CLoader"]),
        cLibrary("CZstd", ["CLoader"]),
        systemLibrary("CLinux", package: "libc6-dev"),

        library("Base/JSON", ["CSimdJSON", "System"]),
        library("Base/System", ["CLinux", "CStart"]),
        library("Base/Process", ["CChild", "System"]),
        library("Base/Crypto", ["COpenSSL"]),
        library("Base/Compression", ["CZlib"]),

        library("Events/Envelope", ["JSON"]),
        library("Events/Payloads", ["Envelope", "JSON"]),

        library("Services/Config", ["CToml", "System"]),
        library("Services/HTTP", ["CCurl", "JSON"]),
        library("Services/Redis", ["CHiredis", "CSSL", "JSON", "Process", "System"]),
        library("Services/Queue", ["JSON", "Redis", "System"]),
        library("Services/Spool", ["CSpool", "System"]),
        library("Services/SQLite", ["CSQLite", "System"]),
        library("Services/OTLP", ["Compression", "HTTP", "JSON", "System"]),
        library("Services/LogStore", ["Envelope", "JSON", "SQLite", "System"]),
        library("Services/PostgreSQL", ["CPostgres", "JSON", "System"]),
        library(
            "Services/Blob",
            ["Crypto", "Envelope", "HTTP", "JSON", "Payloads", "System"]),

        library("Stages/Options", ["Blob", "Envelope", "JSON", "Queue", "Redis", "System", arguments, logging]),
        library("Stages/Tracing", ["Envelope", "JSON", "System", logging]),
        .target(
            name: "TextFiles", path: "Sources/Stages/TextFiles", exclude: ["data"],
            cSettings: [.headerSearchPath("data")]),
        library("Stages/Texts", ["Config", "System", "TextFiles"]),
        library(
            "Stages/Stage",
            ["Envelope", "JSON", "Options", "Payloads", "Queue", "Redis", "System", "Tracing", logging]),

        library("Stages/Turns", ["Envelope", "JSON", "Redis", "Stage"]),

        .target(
            name: "TLSchemas", path: "Sources/Telegram/TLSchemas", exclude: ["data"],
            cSettings: [.headerSearchPath("data")]),
        library("Telegram/TL", ["JSON", "System", "TLSchemas"]),
        library(
            "Telegram/MTProto", ["CAES", "Compression", "Crypto", "JSON", "System", "TL", nioCore, nioPosix]),
        library(
            "Telegram/Accounts",
            [
                "Crypto", "Envelope", "JSON", "MTProto", "Options", "Payloads", "Redis", "SQLite", "Stage", "System",
                "TL", logging, nioCore, nioPosix,
            ]),
        library("Telegram/Updates", ["Accounts", "JSON", "MTProto", "Stage", "System", "TL", logging]),
        library(
            "Telegram/History",
            ["Accounts", "Envelope", "JSON", "MTProto", "Payloads", "Stage", "System", "TL", "Updates", logging]),
        library("Telegram/BotAPI", ["HTTP", "JSON", "Options", "Payloads", "Stage", "System", logging]),
        library("Telegram/ChatCommands", ["BotAPI", "Crypto", "Envelope", "JSON", "Payloads", "System"]),
        library(
            "Telegram/AccountAPI",
            ["Accounts", "BotAPI", "Crypto", "JSON", "MTProto", "Options", "Stage", "System", "TL", "Updates", logging]),

        library(
            "Archive",
            ["CZstd", "Crypto", "Envelope", "JSON", "Payloads", "PostgreSQL", "SQLite", "System", logging]),

        library("Media", ["Config", "Crypto", "HTTP", "JSON", "Payloads", "Process", "System"]),

        library("Routing/JSONSchema", ["CSchema", "JSON", "System"]),
        library(
            "Routing/RateLimits",
            ["Crypto", "Envelope", "JSON", "Options", "Payloads", "Redis", "Stage", "Texts", "Tracing", logging]),
        library(
            "Routing/Routing",
            [
                "Config", "Envelope", "JSON", "JSONSchema", "Options", "Payloads", "Process", "Queue", "RateLimits",
                "Redis", "Spool", "Stage", "System", "Texts", "Tracing", logging,
            ]),

        .target(
            name: "TestSupport", dependencies: ["Envelope", "HTTP", "JSON", "Process", "System"],
            path: "Tests/TestSupport",
            exclude: ["botocore_signatures.py", "browser.py", "fake_ytdlp.py", "s3-server.sh", "without_network.py"],
            swiftSettings: strict),
        // Fuzzes and measures the codec, for tests and benchmarks.
        .executableTarget(
            name: "tl-check", dependencies: ["JSON", "System", "TL", "TestSupport"], path: "Tests/tl-check",
            swiftSettings: strict),
        // Measures the cost of the jail, for a benchmark.
        .executableTarget(
            name: "jail-check", dependencies: ["Process", "System"], path: "Tests/jail-check", swiftSettings: strict),
        // Measures transfers of files, for a benchmark.
        .executableTarget(
            name: "transfer-check", dependencies: ["Accounts", "JSON", "Options", "Stage", "System", "TL", arguments],
            path: "Tests/transfer-check", swiftSettings: strict),
        tests(
            "FuzzTests",
            [
                "Accounts", "Archive", "Blob", "BotAPI", "ChatCommands", "Config", "Envelope", "HTTP", "JSON", "Media",
                "Payloads", "Routing", "Spool", "System", "TestSupport", "tg-gate",
            ]),
        tests("EnvelopeTests", ["Envelope", "JSON"]),
        tests("PayloadsTests", ["Envelope", "JSON", "JSONSchema", "Payloads", "System"]),
        tests("TLTests", ["JSON", "System", "TL", "TestSupport"], exclude: ["telethon_objects.py"]),
        tests("StageTests", ["Envelope", "JSON", "Options", "Stage", "System", "Tracing", arguments, logging]),
        tests("TracingTests", ["Envelope", "JSON", "System", "TestSupport", "Tracing", logging]),
        tests("ChatCommandsTests", ["BotAPI", "ChatCommands", "Envelope", "JSON", "Payloads"]),
        tests(
            "TgGateTests",
            [
                "BotAPI", "ChatCommands", "Envelope", "JSON", "Options", "Payloads", "Stage", "Texts", "tg-gate",
                arguments,
            ]),
        tests(
            "MediaAskTests",
            ["ChatCommands", "Envelope", "JSON", "Media", "Payloads", "TestSupport", "Texts", "media-ask"]),
        tests("EvReplayTests", ["Envelope", "JSON", "JSONSchema", "System", "ev-replay"]),
        tests("EvQueueTests", ["Options", "Queue", "ev-queue", arguments]),
        tests("SystemTests", ["System", "TestSupport"]),
        tests("ProcessTests", ["Process", "System", "TestSupport"]),
        tests("HTTPTests", ["HTTP", "TestSupport"]),
        tests("QueueTests", ["Queue", "Redis", "System", "TestSupport"]),
        tests("RedisTests", ["Redis", "System", "TestSupport"]),
        tests("BlobTests", ["Blob", "BotAPI", "Crypto", "HTTP", "JSON", "Payloads", "System", "TestSupport"]),
        tests("BotAPITests", ["BotAPI", "JSON", "System"]),
        tests("AccountAPITests", ["AccountAPI", "Accounts", "BotAPI", "HTTP", "JSON", "MTProto", "TL", logging]),
        tests(
            "AccountsTests",
            ["Accounts", "Envelope", "JSON", "MTProto", "Redis", "System", "TL", "TestSupport", logging, nioCore],
            exclude: ["sessions_of_others.py"]),
        tests("MTProtoTests", ["CAES", "Crypto", "JSON", "MTProto", "System", "TL", "TestSupport"]),
        tests("HistoryTests", ["History"]),
        tests("UpdatesTests", ["Accounts", "JSON", "TL", "TestSupport", "Updates", logging]),
        tests(
            "MediaFetchTests",
            [
                "Accounts", "Blob", "BotAPI", "Envelope", "HTTP", "JSON", "Media", "Payloads", "TestSupport",
                "media-fetch",
                arguments,
            ]),
        tests(
            "RoutingTests",
            [
                "Config", "Envelope", "JSON", "Options", "Queue", "RateLimits", "Redis", "Routing", "Spool", "Stage",
                "System", "TestSupport", "ev-route", arguments, logging,
            ]),
        tests(
            "RateLimitsTests", ["Envelope", "JSON", "Options", "RateLimits", "Redis", "Stage", "TestSupport", logging]),
        tests("ConfigTests", ["Config", "TestSupport"]),
        tests("JSONSchemaTests", ["Envelope", "JSON", "JSONSchema", "System"]),
        tests("SpoolTests", ["Spool", "TestSupport"]),
        tests("ArchiveTests", ["Archive", "JSON", "Payloads", "System", "TestSupport"]),
        tests("PostgreSQLTests", ["PostgreSQL", "System", "TestSupport"]),
        tests("LogStoreTests", ["Envelope", "JSON", "LogStore", "TestSupport"]),
        tests("OTLPTests", ["JSON", "OTLP"]),
        tests("SQLiteTests", ["SQLite", "System", "TestSupport"]),
        tests("CryptoTests", ["Crypto"]),
        tests("DoctorTests", ["JSON", "Redis", "System", "tgpipe-doctor"]),
        tests("TgCallTests", ["Accounts", "JSON", "System", "TL", "tg-call", arguments]),
        tests("TgSessionTests", ["Accounts", "System", "TestSupport", "tg-session"]),
        tests("TextsTests", ["Config", "TestSupport", "Texts"]),
        tests(
            "TgSendTests",
            [
                "BotAPI", "Envelope", "JSON", "Media", "Options", "Payloads", "Queue", "Stage", "System", "TestSupport",
                "Texts", "tg-send", arguments,
            ]),
        tests(
            "MediaTests",
            ["Config", "Crypto", "HTTP", "JSON", "Media", "Payloads", "Process", "Stage", "System", "TestSupport"]),
        tests(
            "IntegrationTests",
            ["Blob", "Crypto", "Envelope", "JSON", "Payloads", "Process", "Redis", "System", "TestSupport", "tgpipe"],
            exclude: ["otlp_values.py"]),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)

// Fuzzing builds the tests that feed hostile input, and no others.
if let wanted = Context.environment["TGPIPE_ONLY_TESTS"] {
    package.targets.removeAll { $0.type == .test && $0.name != wanted }
}
