import CSchema
import Glibc
package import JSON
package import System

/// Reports why schemas cannot be used.
package struct SchemaError: ReportableError, CustomStringConvertible {
    package let message: String
    package var exitStatus: ExitStatus { .configuration }

    package init(_ message: String) { self.message = message }

    package var description: String { message }
}

/// Holds the schemas of a folder: `envelope.json` for the line, `TYPE.json` for the payload of that type; JSON Schema, draft 7.
///
/// Only one thread at a time may use it. Checking needs much stack (`stackBytes`).
package final class SchemaSet {
    /// The stack that a checking thread must have, in bytes: the matching of regular expressions recurses for each
    /// character.
    package static let stackBytes = 64 << 20

    private static let envelope = "envelope"
    private static let mostBytes = 1 << 20

    private let handle: OpaquePointer
    private var types: Set<String> = []

    /// Makes an empty set.
    ///
    /// - Throws: `SchemaError`.
    package init() throws(SchemaError) {
        guard let handle = tgp_schemas_new() else { throw SchemaError("out of memory") }
        self.handle = handle
    }

    deinit { tgp_schemas_free(handle) }

    /// Reads a folder of schemas, and those below it that they refer to.
    ///
    /// - Throws: `SchemaError` with the file at fault.
    package convenience init(folder: String) throws(SchemaError) {
        try self.init()
        var names: [String] = []
        for name in try SchemaSet.files(in: folder) {
            try add(name, at: "\(folder)/\(name)")
            if !name.contains("/") { names.append(String(name.dropLast(".json".count))) }
        }
        guard names.contains(SchemaSet.envelope) else {
            throw SchemaError("\(folder) contains no schemas: envelope.json is missing")
        }
        for name in names { try compile(name, from: folder) }
    }

    private func add(_ name: String, at path: String) throws(SchemaError) {
        try add(try SchemaSet.contents(of: path), as: name.hasSuffix(".json") ? String(name.dropLast(5)) : name, path)
    }

    private func compile(_ name: String, from folder: String) throws(SchemaError) {
        try compile(name, "\(folder)/\(name).json")
        if name != SchemaSet.envelope { types.insert(name) }
    }

    /// Adds a document under a name.
    package func add(_ json: [UInt8], as name: String, _ place: String) throws(SchemaError) {
        let fault = json.withUnsafeBytes { bytes in
            tgp_schemas_add(handle, name, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        if let fault { throw SchemaError("\(place): \(String(cString: fault))") }
    }

    /// Compiles a document, so that others can be checked by it.
    package func compile(_ name: String, _ place: String) throws(SchemaError) {
        if let fault = tgp_schemas_compile(handle, name) { throw SchemaError("\(place): \(String(cString: fault))") }
    }

    /// Returns whether there is a schema for payloads of a type. All schemas are of version 1.
    package func knows(_ type: String, version: Int) -> Bool { version == 1 && types.contains(type) }

    /// Checks an envelope, and its payload when its type is known.
    ///
    /// - Parameter line: a whole envelope.
    /// - Returns: the fault; nil if the envelope matches.
    package func fault(of line: [UInt8], type: String, version: Int) -> MalformedInput? {
        line.withUnsafeBytes { fault(of: $0, type: type, version: version) }
    }

    /// Checks a line, as `fault(of:type:version:)` of an array does.
    package func fault(of line: UnsafeRawBufferPointer, type: String, version: Int) -> MalformedInput? {
        guard take(line) else { return MalformedInput(.notJSON, "not JSON") }
        if let fault = check(SchemaSet.envelope, member: nil) {
            return MalformedInput(.invalidField, "the envelope does not match envelope.json: \(fault)")
        }
        guard knows(type, version: version) else { return nil }
        return check(type, member: "payload").map {
            MalformedInput(.invalidPayload, "payload does not match \(type).json: \($0)")
        }
    }

    /// Checks any document by a compiled one.
    ///
    /// - Returns: the fault; nil if the document matches.
    package func fault(of document: [UInt8], by name: String) -> String? {
        document.withUnsafeBytes { take($0) } ? check(name, member: nil) : "not JSON"
    }

    private func take(_ document: UnsafeRawBufferPointer) -> Bool {
        if parse(document) { return true }
        // The schemas' parser refuses some valid numbers and strings.
        guard let json = try? JSON(parsing: Array(document)) else { return false }
        return json.widelyAccepted.bytes.withUnsafeBytes { parse($0) }
    }

    private func parse(_ bytes: UnsafeRawBufferPointer) -> Bool {
        tgp_schemas_take(handle, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }

    private func check(_ name: String, member: String?) -> String? {
        tgp_schemas_check(handle, name, member).map { fault in
            String(
                decoding: UnsafeBufferPointer(start: fault, count: strlen(fault)).map(UInt8.init(bitPattern:)),
                as: UTF8.self
            ).printable(atMost: 500)
        }
    }
}

extension SchemaSet {
    private static func files(in folder: String) throws(SchemaError) -> [String] {
        guard let directory = opendir(folder) else {
            throw SchemaError("unable to read the folder of schemas \(folder): \(String(cString: strerror(errno)))")
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard !name.hasPrefix(".") else { continue }
            if name.hasSuffix(".json") {
                names.append(name)
            } else if entry.pointee.d_type == UInt8(DT_DIR) {
                names += try files(in: "\(folder)/\(name)").map { "\(name)/\($0)" }
            }
        }
        return names.sorted()
    }

    private static func contents(of path: String) throws(SchemaError) -> [UInt8] {
        guard let file = fopen(path, "re") else {
            throw SchemaError("unable to read \(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: mostBytes + 1)
        let count = fread(&bytes, 1, bytes.count, file)
        guard count <= mostBytes else { throw SchemaError("\(path) is larger than 1 MiB") }
        return Array(bytes.prefix(count))
    }

    /// Returns the folder of the schemas in the installation or checkout that the running program belongs to.
    package static func defaultFolder() -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { readlink("/proc/self/exe", $0, 4096) } ?? 0
        }
        var words = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self).split(separator: "/").dropLast()
        let installed = "/\(words.dropLast().joined(separator: "/"))/share/tgpipe/schemas"
        if access("\(installed)/envelope.json", R_OK) == 0 { return installed }
        while !words.isEmpty {
            let folder = "/\(words.joined(separator: "/"))/schemas"
            if access("\(folder)/envelope.json", R_OK) == 0 { return folder }
            words = words.dropLast()
        }
        return nil
    }
}
