import ArgumentParser
import Logging
import Media
import Options
import Stage
import System

/// Configures the jail of yt-dlp, ffmpeg and ffprobe.
struct JailOptions: ParsableArguments, Sendable {
    @Flag(
        help:
            "End with status 78 if this machine lacks a layer of the jail that no other one makes up for. [env: TGPIPE_REQUIRE_JAIL]"
    )
    var requireJail = false

    @Option(
        help: ArgumentHelp(
            "The most memory of one process of yt-dlp, ffmpeg or ffprobe. Default: 3G. [env: TGPIPE_HELPER_MEMORY]",
            valueName: "size"))
    var helperMemory: ByteSize?

    @Option(
        help: ArgumentHelp(
            "The most processor time of one process of these programs. Default: 4h. [env: TGPIPE_HELPER_CPU]",
            valueName: "duration"))
    var helperCpu: Span?

    @Option(
        help: ArgumentHelp(
            "A file or folder that these programs may read beside their own and the system's. May be repeated. [env: TGPIPE_HELPER_READ, with colons]",
            valueName: "path"))
    var helperRead: [String] = []

    func validate() throws {
        if let helperMemory, helperMemory.bytes <= 0 { throw ValidationError("--helper-memory must be more than 0") }
    }

    /// Reads the settings.
    ///
    /// - Throws: `ToolError` (78) for a malformed variable.
    func jail() throws -> HelperJail {
        var jail = HelperJail()
        if let size = try helperMemory ?? Settings.value("TGPIPE_HELPER_MEMORY", ByteSize.init(argument:)) {
            jail.memoryBytes = size.bytes
        }
        if let time = try helperCpu ?? Settings.value("TGPIPE_HELPER_CPU", Span.init(argument:)) {
            jail.processorTime = time.duration
        }
        let paths = Settings.environment("TGPIPE_HELPER_READ")?.split(separator: ":").map(String.init) ?? []
        jail.readable = helperRead.isEmpty ? paths : helperRead
        return jail
    }

    /// Logs which layers the jail has on this machine.
    ///
    /// - Throws: `ToolError` (78) if a layer is missing that is required.
    func report(to runtime: Runtime) throws {
        let gaps = HelperJail.gaps
        if !gaps.isEmpty, requireJail || Settings.environment("TGPIPE_REQUIRE_JAIL") != nil {
            throw ToolError(
                .configuration,
                "the jail for yt-dlp and ffmpeg lacks a layer on this machine: \(gaps.joined(separator: "; "))")
        }
        runtime.log.info(
            "yt-dlp and ffmpeg run in a jail",
            metadata: [
                "layers": "\(HelperJail.activeLayers.joined(separator: ", "))",
                "missing": "\(HelperJail.missingLayers.joined(separator: ", "))",
            ])
    }
}
