import Glibc
import Process
import System

/// Configures the jails of yt-dlp, ffmpeg and ffprobe, which handle what strangers' sites send.
package struct HelperJail: Sendable {
    /// The most private memory of one process.
    package var memoryBytes: Int64 = 3 << 30
    /// The most processor time of one process.
    package var processorTime: Duration = .seconds(4 * 3600)
    /// Files and folders that the programs may read beside their own and the system's.
    package var readable: [String] = []

    /// Files that ffmpeg and ffprobe may change beside their output; tests log to one.
    var writable: [String] = []

    package init() {}

    /// The names of the layers that every jail has on this machine.
    package static var activeLayers: [String] { JailLayers.available.present }

    /// The names of the layers that this machine lacks.
    package static var missingLayers: [String] { JailLayers.available.missing }

    /// The missing layers that no other layer makes up for, each with what to do about it.
    package static var gaps: [String] { JailLayers.available.gaps }

    /// The jail for yt-dlp and what it starts.
    ///
    /// - Parameters:
    ///   - programs: the programs that may be started, as paths or names.
    ///   - folder: the one folder that they may change.
    func forExtractor(_ programs: [String], network: Jail.Network, folder: String, processorTime: Duration) -> Jail {
        // yt-dlp runs a site's JavaScript in one of these, if it is installed.
        let engines = ["deno", "node", "bun", "qjs"]
        return Jail(
            network: network, readable: ProgramFiles(programs + engines).paths + readable, writable: [folder],
            limits: limits(processorTime))
    }

    /// The jail for ffmpeg and ffprobe, which have no network.
    ///
    /// - Parameters:
    ///   - input: the file that the program reads; nil if it reads its standard input.
    ///   - output: the one file that the program may change; it has to exist.
    func forConverter(_ program: String, input: String?, output: String?, processorTime: Duration) throws(MediaError)
        -> Jail
    {
        var limits = limits(processorTime)
        // Bounds memory that is shared, too. It is mostly reserved, above all for the stacks of many threads.
        limits.addressBytes = limits.memoryBytes < .max / 4 ? limits.memoryBytes * 4 : 0
        return Jail(
            network: .only(try HelperJail.network(listens: false)),
            readable: ProgramFiles([program]).paths + (input.map { [$0] } ?? []) + readable,
            writable: writable + (output.map { [$0] } ?? []),
            limits: limits)
    }

    /// Makes the network for one run, or for all runs of one job.
    static func network(listens: Bool) throws(MediaError) -> JailNetwork {
        do throws(SystemError) {
            return try JailNetwork(listens: listens)
        } catch {
            throw .local("make a network for a program", error.number)
        }
    }

    private func limits(_ time: Duration) -> JailLimits {
        JailLimits(
            memoryBytes: UInt64(clamping: memoryBytes),
            cpuSeconds: UInt64(clamping: max(1, min(time, processorTime).components.seconds)))
    }
}
