import JSON
import Logging
package import Spool
import System

/// Where spools are, and how large they may be.
package struct SpoolPlan: Sendable {
    /// The folder that a spool's own is in.
    package var folder: String
    package var limits: SpoolLimits

    package init(folder: String, limits: SpoolLimits) { (self.folder, self.limits) = (folder, limits) }

    /// Opens the spool of a target.
    func open(_ target: Target, name: String, log: Logger) throws(ToolError) -> Spool {
        do { try makeDirectory(folder, mode: 0o700) } catch let error as ToolError { throw error } catch {
            throw ToolError(.localIO, "unable to make the folder \(folder)")
        }
        let parser = JSONParser()
        do throws(SpoolError) {
            return try Spool(
                folder: "\(folder)/\(SpoolPlan.folderName(target))", limits: limits,
                isEvent: { parser.scan($0).isEnvelope },
                notify: { notice in
                    switch notice {
                    case .found(let bytes): log.info("\(bytes) bytes of an earlier run are in the spool of \(name)")
                    case .full(let reason): log.warning("\(reason); \(limits.whenFull.words)")
                    case .damaged(let reason): log.error("\(reason)")
                    }
                })
        } catch {
            throw error.stageError
        }
    }

    /// The target as a file name: what may not be there as `%` and two digits. Long ones are cut, and told apart by a sum.
    static func folderName(_ target: Target) -> String {
        let text = target.endpoint
        var name = ""
        for byte in text.utf8 {
            let scalar = Unicode.Scalar(byte)
            let isPlain =
                scalar.isASCII
                && (scalar.properties.isAlphabetic || (48...57).contains(byte) || "._-".utf8.contains(byte))
            name +=
                isPlain
                ? String(Character(scalar)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
        guard name.utf8.count > 200 || name.hasPrefix(".") else { return name }
        // FNV-1a.
        let sum = text.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        return "\(name.prefix(160).drop { $0 == "." })~\(String(sum, radix: 16))"
    }
}

extension SpoolLimits.WhenFull {
    fileprivate var words: String {
        switch self {
        case .block: "the input waits until its reader makes room"
        case .drop: "events are dropped until its reader makes room"
        }
    }
}
