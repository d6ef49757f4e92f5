import Spool
import Stage
import System

/// Standard output, a file or a device behind a spool. Whoever kills the process between a write and its note makes the next one
/// write those lines again.
final class LineOutlet: SpoolOutlet {
    private let output: LineOutput

    init(endpoint: String) throws(ToolError) { output = try LineOutput(endpoint: endpoint) }

    func take(_ stretch: Stretch, _ reader: SpoolReader) throws(ToolError) -> Bool {
        try output.write(stretch.bytes)
        reader.skip(stretch.bytes.count)
        reader.forget(keeping: 0)
        return true
    }

    func finish(_ reader: SpoolReader) throws(ToolError) -> Bool {
        try output.finish()
        return true
    }
}
